package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// writeFiles writes files to a new folder.
func writeFiles(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shards deals the entries of a file out to n files, and gives their index.
func shards(t testing.TB, list []entry, n int) map[string][]byte {
	t.Helper()
	files, index := map[string][]byte{}, map[string]string{}
	for k := range n {
		var own []entry
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", k+1, n)
		for i := k; i < len(list); i += n {
			own, index[list[i].name] = append(own, list[i]), name
		}
		files[name] = pack(t, own)
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1, "of": []int{1, 2}}, "weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	files[indexFile] = text
	return files
}

func openWeights(t testing.TB, dir string) *Weights {
	t.Helper()
	w, err := OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// TestForms: what is read from one file or several, of any type, mixed ones
// included, and written again, has the same names, types and bytes.
func TestForms(t *testing.T) {
	t.Parallel()
	c := config()
	c.Untied = true
	be, m := newModel(t, c)
	m.Init(5)
	for name, form := range map[string]Form{
		"F32": {}, "prefix": {Prefix: gpt2Prefix}, "F16": Form{}.All(safetensors.F16), "BF16": Form{Prefix: gpt2Prefix}.All(safetensors.BF16),
		"mixed": {DType: func(name string) safetensors.DType {
			if strings.Contains(name, "ln_") {
				return safetensors.F32
			}
			return safetensors.BF16
		}},
	} {
		var b bytes.Buffer
		if err := WriteGPTAs(&b, be, m, form); err != nil {
			t.Fatal(err)
		}
		want := entries(t, openBytes(t, b.Bytes()))
		buffers := append(slices.Clone(want), entry{"h.1.attn.masked_bias", safetensors.F32, nil, make([]byte, 4)})
		for n, files := range map[string]map[string][]byte{"one file": {weightsFile: pack(t, want)}, "three files": shards(t, buffers, 3)} {
			w := openWeights(t, writeFiles(t, files))
			be2, m2 := newModel(t, c)
			number(be2, m2)
			if err := ReadGPT(be2, m2, w); err != nil {
				t.Fatalf("%s, %s: %v", name, n, err)
			}
			b.Reset()
			if err := WriteGPTAs(&b, be2, m2, FormOf(w)); err != nil {
				t.Fatal(err)
			}
			got := entries(t, openBytes(t, b.Bytes()))
			if !slices.EqualFunc(got, want, func(a, b entry) bool {
				return a.name == b.name && a.dtype == b.dtype && slices.Equal(a.shape, b.shape) && bytes.Equal(a.data, b.data)
			}) {
				t.Errorf("%s, %s: another file came out", name, n)
			}
			if name == "F32" {
				for i, p := range m.Params() {
					testkit.EqualBits(t, p.Name, download(be2, m2.Params()[i].Value), download(be, p.Value))
				}
			}
		}
	}
}

// TestPieces: tensors larger than a piece, in both layouts.
func TestPieces(t *testing.T) {
	t.Parallel()
	c := model.GPTConfig{Vocab: 2*pieceLen/8 + 3, Context: 5, Layers: 1, Heads: 1, Width: 8, MLP: 2*pieceLen/8 + 5, NoBias: true}
	be, m := newModel(t, c)
	m.Init(1)
	f := openBytes(t, write(t, be, m))
	be2, m2 := newModel(t, c)
	if err := ReadGPT(be2, m2, f); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		testkit.EqualBits(t, p.Name, download(be2, m2.Params()[i].Value), download(be, p.Value))
	}
	for theirs, p := range map[string]int{"h.0.mlp.c_fc.weight": 6, "h.0.mlp.c_proj.weight": 7} {
		p := m.Params()[p]
		info, _ := f.Info(theirs)
		rows, cols := p.Value.Rows(), p.Value.Cols()
		if !slices.Equal(info.Shape, []int{cols, rows}) {
			t.Fatalf("%s is %v, %s %v", theirs, info.Shape, p.Name, p.Value.Shape)
		}
		host, file := download(be, p.Value), make([]float32, rows*cols)
		if err := f.ReadFloat32(theirs, file); err != nil {
			t.Fatal(err)
		}
		for i, v := range host {
			if r, c := i/cols, i%cols; file[c*rows+r] != v {
				t.Fatalf("%s: element (%d,%d) is another in the file", p.Name, r, c)
			}
		}
	}
}

func TestBadFolders(t *testing.T) {
	t.Parallel()
	be, m := newModel(t, config())
	m.Init(1)
	base := entries(t, openBytes(t, write(t, be, m)))
	index := func(text string) map[string][]byte { return map[string][]byte{indexFile: []byte(text)} }
	without := shards(t, base, 3)
	delete(without, "model-00002-of-00003.safetensors")
	other := shards(t, base, 2)
	other["model-00001-of-00002.safetensors"] = other["model-00002-of-00002.safetensors"]
	cut := shards(t, base, 2)
	cut["model-00002-of-00002.safetensors"] = cut["model-00002-of-00002.safetensors"][:100]
	for name, tc := range map[string]struct {
		files map[string][]byte
		is    error
		says  []string
	}{
		"nothing":        {nil, fs.ErrNotExist, []string{"model.safetensors", "index.json"}},
		"pickle":         {map[string][]byte{"pytorch_model.bin": nil}, ErrUnsupported, []string{"pytorch_model.bin", "safetensors", "python3 -c", "save_pretrained"}},
		"pickled shards": {map[string][]byte{"pytorch_model.bin.index.json": nil}, ErrUnsupported, []string{"pytorch_model.bin"}},
		"missing shard":  {without, fs.ErrNotExist, []string{"model-00002-of-00003.safetensors", "index.json"}},
		"other shard":    {other, ErrMismatch, []string{"not in model-00001-of-00002.safetensors"}},
		"cut shard":      {cut, safetensors.ErrCorrupt, []string{"model-00002-of-00002.safetensors"}},
		"no JSON":        {index("{"), safetensors.ErrCorrupt, []string{"index.json"}},
		"no map":         {index(`{"metadata":{}}`), safetensors.ErrCorrupt, []string{"weight_map"}},
		"a path":         {index(`{"weight_map":{"a":"../model.safetensors"}}`), safetensors.ErrCorrupt, []string{"../model.safetensors"}},
		"a full path":    {index(`{"weight_map":{"a":"/etc/model.safetensors"}}`), safetensors.ErrCorrupt, []string{"same folder"}},
		"no safetensors": {index(`{"weight_map":{"a":"pytorch_model.bin"}}`), safetensors.ErrCorrupt, []string{"pytorch_model.bin"}},
		"twice":          {index(`{"weight_map":{"a":"a.safetensors","a":"b.safetensors"}}`), safetensors.ErrCorrupt, []string{"duplicate"}},
	} {
		w, err := OpenWeights(writeFiles(t, tc.files))
		if err == nil {
			w.Close()
		}
		if !errors.Is(err, tc.is) {
			t.Errorf("%s: error %v, want %v", name, err, tc.is)
			continue
		}
		for _, s := range tc.says {
			if !strings.Contains(err.Error(), s) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %q does not say %q in one line", name, err, s)
			}
		}
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Kind{
		theirs: GPT, timmsOwn: ViT, hfsOwn: ViT, `{"model_type":"bdia-seq2seq"}`: Seq2Seq, `{"model_type":"llama"}`: GPT, `{"model_type":"gemma3"}`: "", `{"architectures":["Qwen3ForCausalLM"]}`: GPT, `{}`: "", `[]`: "", "": "",
	} {
		got, err := KindOf(filepath.Dir(configFile(t, text)))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.40s: %q, %v", text, got, err)
		}
		if strings.Contains(text, "gemma") && (!errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "gpt2, llama, qwen2, qwen3, mistral, granite, olmo2, vit, bdia-seq2seq")) {
			t.Errorf("unknown model: %v", err)
		}
	}
}

// TestFingerprint: it is that of the tensors, in whatever files, and no change of one
// escapes it.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	list := func() []entry {
		return []entry{{"a", safetensors.F32, []int{3}, make([]byte, 12)}, {"b", safetensors.F32, []int{2, 1}, make([]byte, 8)},
			{"long", safetensors.F32, []int{pieceLen + 5}, make([]byte, 4*(pieceLen+5))}}
	}
	of := func(files map[string][]byte) string {
		sum, err := openWeights(t, writeFiles(t, files)).Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	want := of(map[string][]byte{weightsFile: pack(t, list())})
	if got := of(shards(t, list(), 2)); got != want {
		t.Errorf("in two files %s, in one %s", got, want)
	}
	seen := map[string]string{want: "the weights as they were"}
	for name, change := range map[string]func(l []entry){
		"the lowest bit of the first element": func(l []entry) { l[0].data[0] ^= 1 },
		"the lowest bit of the last element":  func(l []entry) { l[2].data[4*(pieceLen+4)] ^= 1 },
		"a name":                              func(l []entry) { l[1].name = "c" },
		"a shape":                             func(l []entry) { l[1].shape = []int{1, 2} },
		"a type":                              func(l []entry) { l[1].dtype, l[1].shape = safetensors.BF16, []int{4, 1} },
		"two names":                           func(l []entry) { l[0].name, l[1].name = "b", "a" },
	} {
		l := list()
		change(l)
		sum := of(map[string][]byte{weightsFile: pack(t, l)})
		if other, ok := seen[sum]; ok {
			t.Errorf("%s changed: the fingerprint is that of %s", name, other)
		}
		seen[sum] = name
	}
}
