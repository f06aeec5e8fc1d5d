package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/spell"
	"github.com/bdia-go/bdia/internal/textfile"
)

// NoModelError is the error for a path that leads to no model. It wraps ErrNoModel, and fs.ErrNotExist if nothing is
// there.
type NoModelError struct {
	Path    string
	Missing bool     // nothing is there
	Run     bool     // a run is there that stopped before its first checkpoint
	Reason  string   // what is there instead, with the remedy: "it is empty"
	Near    []string // folders of models that may be meant: in Path, newest first, or beside it of a like name
	More    int      // further ones in Path
	Hub     string   // the model on Hugging Face's Hub that a missing Path may mean: "openai-community/gpt2"; empty: none
}

// Error says what is there, and what may be meant.
func (e *NoModelError) Error() string {
	text := fmt.Sprintf("%s %v: %s", e.Path, ErrNoModel, e.Reason)
	if e.Missing {
		text = "there is no folder " + e.Path
	}
	switch {
	case len(e.Near) == 1 && e.More == 0:
		text += "; there is " + e.Near[0]
	case len(e.Near) > 0:
		text += "; there are " + strings.Join(e.Near, ", ")
		if e.More > 0 {
			text += fmt.Sprintf(" and %d more", e.More)
		}
	}
	return text
}

// Unwrap returns ErrNoModel, and fs.ErrNotExist if nothing is there.
func (e *NoModelError) Unwrap() []error {
	if e.Missing {
		return []error{ErrNoModel, fs.ErrNotExist}
	}
	return []error{ErrNoModel}
}

// maxNear is how many folders a NoModelError names, and maxEntries how many entries of a folder are looked at.
const (
	maxNear    = 5
	maxEntries = 2000
)

// Find returns the folder of the model that path names: a model folder or run directory itself, the folder of one of
// its files, or the snapshot in a folder of Hugging Face's cache ("models--org--name"). Anything else is a
// NoModelError.
func Find(path string) (string, error) {
	if path == "" {
		return "", errors.New("the model folder has no name")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && (errors.Is(err, fs.ErrNotExist) || inFile(path)):
		return "", missing(path)
	case err != nil:
		return "", err
	case !info.IsDir():
		return folderOfFile(path)
	case isModel(path):
		return path, nil
	}
	if dir := snapshot(path); dir != "" {
		return dir, nil
	}
	return "", without(path)
}

// inFile reports whether path goes on below a file.
func inFile(path string) bool {
	info, err := os.Stat(filepath.Dir(path))
	return err == nil && !info.IsDir()
}

// isModel reports whether dir is a model folder or a run directory.
func isModel(dir string) bool { return has(dir, configFile) || has(dir, RunFile) }

// has reports whether dir has an entry with that name.
func has(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// folderOfFile returns the model folder that the file at path is a part of.
func folderOfFile(path string) (string, error) {
	dir, ext := filepath.Dir(path), strings.ToLower(filepath.Ext(path))
	if isModel(dir) && (ext == ".json" || ext == ".safetensors" || ext == ".yaml" || filepath.Base(path) == "merges.txt") {
		return dir, nil
	}
	reason := "it is a file; name the folder that it lies in"
	switch {
	case ext == ".gguf" || begins(path, "GGUF"):
		reason = "it is a GGUF file, for llama.cpp and Ollama; name a folder of Hugging Face's files (config.json, model.safetensors, tokenizer.json)"
	case ext == ".onnx":
		reason = "it is an ONNX file, for onnxruntime; name a folder of Hugging Face's files (config.json, model.safetensors, tokenizer.json)"
	case ext == ".bin" || ext == ".pt" || ext == ".pth" || ext == ".ckpt":
		reason = "it is a file of PyTorch; load it there, save it with save_pretrained(FOLDER, safe_serialization=True), and name that folder"
	case ext == ".zip" || ext == ".tar" || ext == ".gz" || ext == ".tgz" || begins(path, "PK\x03\x04"):
		reason = "it is an archive; unpack it, and name the folder that comes out"
	case ext == ".safetensors":
		reason = "it is a file of weights, and its folder has no " + configFile + " beside it; fetch that too, and name the folder"
	}
	return "", &NoModelError{Path: path, Reason: reason}
}

// begins reports whether the file at path begins with these bytes.
func begins(path, magic string) bool {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(magic))
	n, _ := f.Read(head)
	return string(head[:n]) == magic
}

// snapshot returns the model in dir if that is a model's folder in the cache of Hugging Face's Hub: the snapshot that
// refs/main names, or the only one; else it is empty.
func snapshot(dir string) string {
	root := filepath.Join(dir, "snapshots")
	if main, err := textfile.ReadFile(filepath.Join(dir, "refs", "main"), 64); err == nil {
		name := strings.TrimSpace(string(main))
		if at := filepath.Join(root, name); name != "" && !strings.ContainsAny(name, `/\`) && isModel(at) {
			return at
		}
	}
	if all := modelsIn(root); len(all) == 1 {
		return all[0]
	}
	return ""
}

// modelsIn lists the model folders in dir, newest first.
func modelsIn(dir string) (list []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	changed := map[string]time.Time{}
	for _, e := range entries[:min(len(entries), maxEntries)] {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !isModel(path) && cached(path) == "" {
			continue
		}
		for _, name := range []string{"metrics.jsonl", configFile, RunFile, "."} {
			if info, err := os.Stat(filepath.Join(path, name)); err == nil {
				changed[path] = info.ModTime()
				break
			}
		}
		list = append(list, path)
	}
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Or(changed[b].Compare(changed[a]), strings.Compare(a, b)) })
	return list
}

// cached is snapshot for a folder with a name of the Hub's cache.
func cached(dir string) string {
	if !strings.HasPrefix(filepath.Base(dir), "models--") {
		return ""
	}
	return snapshot(dir)
}

// without returns the error for a folder that is no model's.
func without(dir string) error {
	e := &NoModelError{Path: dir, Reason: configFile + " is missing", Near: modelsIn(dir)}
	if has(dir, "snapshots") {
		e.Reason, e.Near = "it is a folder of Hugging Face's cache; name one of its snapshots", modelsIn(filepath.Join(dir, "snapshots"))
	} else if has(dir, convert.AdapterConfigFile) {
		e.Reason = "it has adapters (" + convert.AdapterConfigFile + ") and no " + configFile + "; name the folder of their model, and this one as its adapter"
	} else if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 {
		e.Reason = "it is empty: " + configFile + " is missing"
	}
	if len(e.Near) == 0 && !strings.Contains(e.Reason, "; ") {
		e.Reason += "; name the folder of a run or model"
	}
	if n := len(e.Near); n > maxNear {
		e.Near, e.More = e.Near[:maxNear], n-maxNear
	}
	return e
}

// onHub are names that transformers takes for models of the Hub.
var onHub = map[string]string{"gpt2": "openai-community/", "gpt2-medium": "openai-community/", "gpt2-large": "openai-community/", "gpt2-xl": "openai-community/",
	"distilgpt2": "distilbert/"}

var (
	hubName = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$`)
	hubURL  = regexp.MustCompile(`^(https?:/+)?(www\.)?(huggingface\.co|hf\.co)/+`)
)

// missing returns the error for a path with nothing there.
func missing(path string) error {
	e := &NoModelError{Path: path, Missing: true}
	dir, base := filepath.Split(filepath.Clean(path))
	for _, near := range modelsIn(cmp.Or(filepath.Clean(dir), ".")) {
		if spell.Distance(strings.ToLower(base), strings.ToLower(filepath.Base(near))) <= max(1, len(base)/4) && len(e.Near) < maxNear {
			e.Near = append(e.Near, near)
		}
	}
	name := strings.TrimSuffix(filepath.ToSlash(path), "/")
	switch url := hubURL.FindString(name); {
	case url != "":
		e.Hub = strings.TrimSuffix(strings.Join(strings.Split(name[len(url):]+"/", "/")[:2], "/"), "/")
		e.Hub = onHub[e.Hub] + e.Hub
	case onHub[name] != "":
		e.Hub = onHub[name] + name
	case hubName.MatchString(name) && !has(".", filepath.Dir(filepath.FromSlash(name))) && !slices.Contains(localNames, filepath.Dir(name)):
		e.Hub = name
	}
	if !hubName.MatchString(e.Hub) {
		e.Hub = ""
	}
	return e
}

// localNames are folders of people's own, which are no organisation's on the Hub.
var localNames = []string{"runs", "run", "out", "output", "outputs", "model", "models", "checkpoints", "tmp", "data"}
