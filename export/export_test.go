package export

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// folder returns a model folder with a small language model of initial weights.
func folder(t *testing.T) *hub.Folder {
	t.Helper()
	dir := t.TempDir()
	tok, err := tokenizer.NewChar(strings.NewReader("to be or not to be"))
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	c := model.GPTConfig{Vocab: tok.VocabSize(), Context: 8, Layers: 2, Heads: 2, Width: 8}
	var m *model.GPT
	be, err := backend.Fit(backend.Options{Threads: 1}, func(be backend.Backend) (err error) {
		m, err = model.NewGPT(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
		return err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	m.Init(1)
	for name, write := range map[string]func(io.Writer) error{
		"config.json":       func(w io.Writer) error { return convert.WriteGPTInfo(w, convert.GPTInfo{Config: c}) },
		"model.safetensors": func(w io.Writer) error { return convert.WriteGPT(w, be, m) },
	} {
		if err := createFile(dir, name, write); err != nil {
			t.Fatal(err)
		}
	}
	f, err := hub.Open(dir, hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestWrite exports one model to each format: as the command line does, without it.
func TestWrite(t *testing.T) {
	t.Parallel()
	f, out := folder(t), t.TempDir()
	for _, c := range []struct {
		format, dtype, path string
		most                float64 // difference of a logit
	}{
		{"hf", "", "hf", 0},
		{"hf", "bf16", "bf16", 1e-2},
		{"onnx", "", "graph.onnx", 1e-5},
		{"gguf", "q8_0", "model.gguf", 1e-2},
	} {
		o := Options{Format: c.format, DType: c.dtype, Out: filepath.Join(out, c.path), Device: backend.Options{Threads: 1}}
		r, err := Write(t.Context(), f, RandomSample(f), o)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		size, err := sizeOf(o.Out)
		if err != nil || r.Bytes != size || r.Logits == 0 || r.LargestAbs == 0 || r.FloatFile > c.most || r.Out != o.Out || r.Format != c.format {
			t.Errorf("%+v: %+v; %d bytes, %v", c, r, size, err)
		}
		if (r.FloatFile == 0) != (c.most == 0) && c.format != "onnx" {
			t.Errorf("%+v: largest difference %v", c, r.FloatFile)
		}
	}
	left, err := os.ReadDir(out)
	if err != nil || len(left) != 4+3 {
		t.Errorf("%v, %v; want the four exports, two cards, a Modelfile and nothing temporary", left, err)
	}
}

// TestWriteFails checks the errors that callers tell apart, and that a failed export
// leaves what was there.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	f, out := folder(t), t.TempDir()
	there := filepath.Join(out, "there")
	if err := os.Mkdir(there, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := createFile(there, "notes.txt", func(io.Writer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	earlier := filepath.Join(out, "m.gguf")
	if err := os.WriteFile(earlier, []byte("earlier"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o              Options
		options, exist bool // ErrOptions; PlaceError.Exists
	}{
		"format":   {Options{Format: "caffe", Out: "x"}, true, false},
		"path":     {Options{Format: "hf"}, true, false},
		"type":     {Options{Format: "onnx", Out: "x", DType: "bf16"}, true, false},
		"no cache": {Options{Format: "hf", Out: "x", NoCache: true}, true, false},
		"other":    {Options{Format: "hf", Out: there, Force: true}, false, false},
		"itself":   {Options{Format: "hf", Out: f.Dir, Force: true}, false, false},
		"a file":   {Options{Format: "hf", Out: earlier, Force: true}, false, false},
		"exists":   {Options{Format: "gguf", Out: earlier}, false, true},
	} {
		_, err := Write(t.Context(), f, RandomSample(f), c.o)
		var place *PlaceError
		if errors.Is(err, ErrOptions) != c.options || errors.As(err, &place) == c.options || place != nil && place.Exists != c.exist {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(earlier); err != nil || string(text) != "earlier" {
		t.Errorf("what was there: %q, %v", text, err)
	}
	o := Options{Format: "gguf", Out: earlier, Force: true, Device: backend.Options{Threads: 1}}
	if _, err := Write(t.Context(), f, RandomSample(f), o); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(earlier); !strings.HasPrefix(string(text), "GGUF") {
		t.Errorf("replaced by %.8q", text)
	}
}

// TestNameOf: a model has its folder's name, and one of a run the run's.
func TestNameOf(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"run/best", "other/best"} {
		testkit.OK(t, os.MkdirAll(filepath.Join(root, dir), 0o777))
	}
	testkit.OK(t, os.WriteFile(filepath.Join(root, "run", hub.RunFile), nil, 0o666))
	for dir, want := range map[string]string{"run": "run", "run/best": "run", "other": "other", "other/best": "best", "run/best/..": "run"} {
		if got := nameOf(filepath.Join(root, dir)); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}
}
