package policy

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// reader is a format of files that others may have written, and the fuzz target of what reads it.
type reader struct {
	what    string
	target  string   // package and function
	sources []string // files that open or decode it
}

// readers are the formats that are read.
var readers = []reader{
	{"safetensors", "format/safetensors FuzzParse", files("format/safetensors/parse.go format/safetensors/file.go")},
	{"safetensors in several files, with an index", "convert FuzzShards", files("convert/weights.go")},
	{"model.safetensors.index.json", "format/safetensors FuzzParseIndex", files("format/safetensors/index.go")},
	{"weights of language models, adapters", "convert FuzzGPT2Weights", nil},
	{"weights of vision transformers, of both names", "convert FuzzViTWeights", nil},
	{"gguf", "format/gguf FuzzParse", files("format/gguf/file.go")},
	{"onnx", "format/onnx FuzzParse", files("format/onnx/file.go")},
	{"config.json of language models", "convert FuzzReadGPTConfig", files("convert/gpt.go convert/gpt2.go convert/family.go")},
	{"config.json of vision transformers", "convert FuzzReadViTConfig", files("convert/vit.go convert/kind.go")},
	{"config.json of encoder-decoders", "convert FuzzSeq2SeqConfig", files("convert/seq2seq.go")},
	{"preprocessor_config.json", "convert FuzzPreprocessor", nil},
	{"generation_config.json", "convert FuzzGeneration", files("convert/gpt_others.go")},
	{"adapter_config.json", "convert FuzzAdapterConfig", files("convert/peft.go")},
	{"a run's bdia.yaml", "train FuzzSettings", files("train/yaml.go")},
	{"a model folder", "hub FuzzFolder", files("hub/settings.go hub/find.go hub/save.go")},
	{"tokenizer.json", "tokenizer FuzzTokenizerJSON", files("tokenizer/files.go tokenizer/pipeline.go tokenizer/frame.go tokenizer/tokenizer.go")},
	{"vocab.json and merges.txt", "tokenizer FuzzVocabMerges", nil},
	{"tokenizer_config.json, chat templates", "tokenizer FuzzSettings", files("tokenizer/config.go tokenizer/kept.go")},
	{"chat templates, and JSON for them", "internal/jinja FuzzTemplate", files("internal/jinja/value.go")},
	{"chars.json", "tokenizer FuzzChars", files("tokenizer/char.go")},
	{"text, JSON lines, lists, tables, gzip, zip and tar of text", "data FuzzText", files("data/opener.go data/rows.go data/table.go data/documents.go data/characters.go")},
	{"UTF-8 and UTF-16", "internal/textfile FuzzReader", files("internal/textfile")},
	{"tables", "internal/delimited FuzzRead", nil},
	{"token shards", "data FuzzOpenShards", files("data/shards.go")},
	{"pairs of text", "data/pairs FuzzReader", files("data/pairs/table.go data/pairs/delimiter.go data/pairs/files.go data/pairs/records.go data/pairs/talk.go data/pairs/json.go")},
	{"which columns are pairs", "data/pairs FuzzSniff", files("data/pairs/sniff.go")},
	{"Parquet", "data/parquet FuzzRead", files("data/parquet internal/textfile/rows.go")},
	{"sets of pairs", "data/pairs FuzzSet", files("data/pairs/set.go")},
	{"pictures", "data/images FuzzDecode", files("data/images/files.go data/images/codec.go data/images/webp.go")},
	{"zip of images", "data/images FuzzZip", nil},
	{"tar of images", "data/images FuzzTar", files("data/images/archive.go")},
	{"CIFAR", "data/images FuzzCIFAR", nil},
	{"idx files of MNIST", "data/images FuzzIdx", files("data/images/idx.go")},
	{"labels.csv of images", "data/images FuzzLabels", files("data/images/labels.go")},
	{"EXIF", "data/images FuzzEXIF", nil},
	{"the journal of a checkpoint", "checkpoint FuzzJournal", files("checkpoint/recover.go")},
	{"manifest.json", "checkpoint FuzzManifest", files("checkpoint/manifest.go")},
	{"state.json", "checkpoint FuzzState", files("checkpoint/state.go")},
	{"metrics.jsonl", "metric FuzzScanRecords", files("metric/jsonl.go")},
	{"certificate.jsonl", "metric FuzzCertificates", files("metric/certificate.go")},
	{"event files", "metric FuzzParseEvent", files("metric/events.go")},
	{"texts to score", "score FuzzLines", files("score/lines.go")},
	{"references of the E2E challenge", "score FuzzInstances", files("score/instances.go")},
	{"licence and name in a model's card and config.json", "export FuzzFront", files("export/front.go")},
	{"JSON", "internal/jsonfile FuzzClean", files("internal/jsonfile")},
	{"ids in files", "internal/idfile FuzzDecode", nil},
}

// notRead says why files may open or decode something without a target of their own.
var notRead = map[string]string{
	"internal/mmap":       "maps the files that the readers above decode",
	"internal/disk":       "opens the files that the readers above decode",
	"train/samemodel.go":  "compares a few lines of the config.json that package convert reads",
	"checkpoint/lock.go":  "a few bytes of its holder",
	"internal/sysmem":     "files of the kernel",
	"internal/recordfile": "compares a checksum of the records that package metric reads",
	"internal/seal":       "compares a checksum of the files that the readers above decode",
	"internal/faultfs":    "copies files, in tests",
	"generate/form.go":    "numbers under keys that package convert reads",
	"export/beside.go":    "copies files that hub and tokenizer read",
	"export/carry.go":     "copies files without a look at what is in them",
	"export/onnx.go":      "adds a line to the config.json that it has written",
}

func files(list string) []string { return strings.Fields(list) }

// decoders are calls that open or decode files, by package.
var decoders = map[string]string{
	"os": "Open ReadFile OpenFile", "mmap": "Open", "zip": "NewReader OpenReader", "gzip": "NewReader", "tar": "NewReader", "csv": "NewReader",
	"json": "Unmarshal NewDecoder", "jsonfile": "Decode Unmarshal Clean", "yaml": "Unmarshal NewDecoder UnmarshalWithOptions",
	"textfile": "ReadFile ReadStream New", "disk": "OpenRegular OpenStream", "delimited": "NewReader Rows", "fs": "ReadFile",
	"bufio": "NewScanner NewReader NewReaderSize", "png": "Decode DecodeConfig", "jpeg": "Decode DecodeConfig", "gif": "Decode DecodeAll", "webp": "Decode DecodeConfig",
}

// TestReadersAreFuzzed: every file that opens or decodes what others may have written belongs to a reader with a fuzz
// target and seeds.
func TestReadersAreFuzzed(t *testing.T) {
	t.Parallel()
	targets := map[string]*ast.FuncDecl{}
	for _, s := range sources(t, (*source).isTest) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Fuzz") {
				targets[s.dir()+" "+f.Name.Name] = f
			}
		}
	}
	known := map[string]bool{}
	for _, r := range readers {
		f := targets[r.target]
		switch {
		case f == nil:
			t.Errorf("%s: there is no fuzz target %s", r.what, r.target)
		case !seeded(f):
			t.Errorf("%s: %s has no seeds; add some with f.Add", r.what, r.target)
		}
		for _, name := range r.sources {
			known[name] = false
		}
	}
	for name := range notRead {
		known[name] = false
	}
	for _, s := range sources(t, func(s *source) bool { return !s.isTest() && !slices.ContainsFunc(programs, s.within) }) {
		if !decodes(s.file) || strings.HasPrefix(s.path, "internal/testkit/") || strings.HasPrefix(s.path, "internal/golden/") ||
			strings.HasPrefix(s.path, "internal/traintest/") {
			continue
		}
		if _, ok := known[s.path]; ok {
			known[s.path] = true
		} else if _, ok := known[path.Dir(s.path)]; ok {
			known[path.Dir(s.path)] = true
		} else {
			t.Errorf("%s opens or decodes files and belongs to no reader with a fuzz target: give it one, and a line in the table of readers", s.path)
		}
	}
	for name, used := range known {
		if !used {
			t.Errorf("%s opens or decodes nothing: take it out of the table", name)
		}
	}
}

// seeded reports whether f adds seeds.
func seeded(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Add" {
			found = true
		}
		return !found
	})
	return found
}

// decodes reports whether f opens or decodes files.
func decodes(f *ast.File) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if p, ok := s.X.(*ast.Ident); ok && slices.Contains(strings.Fields(decoders[p.Name]), s.Sel.Name) {
				found = true
			}
		}
		return !found
	})
	return found
}
