package hub_test

import (
	"bytes"
	"errors"
	"io/fs"
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

var one = backend.Options{Threads: 1}

// oldRuns copies run directories of each task, a base model among them, to a new folder.
func oldRuns(t testing.TB) string {
	t.Helper()
	from, root := os.DirFS(filepath.Join("..", "train", "testdata", "oldruns")), t.TempDir()
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		path := filepath.Join(root, name)
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(path, 0o777))
		}
		text, err := fs.ReadFile(from, name)
		if ext := filepath.Ext(name); ext == ".yaml" || ext == ".json" {
			text = bytes.ReplaceAll(text, []byte("@DIR@"), []byte(filepath.ToSlash(root)))
		}
		return errors.Join(err, os.WriteFile(path, text, 0o666))
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// edit replaces text in a file.
func edit(t testing.TB, path, before, after string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), before) {
		t.Fatalf("%s: %v, or it has no %q", path, err, before)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), before, after, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t testing.TB, dir string, o hub.Options) *hub.Folder {
	t.Helper()
	f, err := hub.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// logits returns the logits of a fixed input of any kind of model.
func logits(t testing.TB, f *hub.Folder) (dst []float32) {
	t.Helper()
	switch f.Kind {
	case convert.ViT:
		b := model.NewImageBatch(f.ViTInfo.Config, 2)
		for i := range b.Pixels {
			b.Pixels[i] = float32(i%7) / 7
		}
		dst = make([]float32, 2*f.ViTInfo.Config.Classes)
		use := func(m *model.ViT) error { return m.Logits(dst, b, f.Grid, 0) }
		m, err := f.ViT(one, use)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := use(m.ViT); err != nil {
			t.Fatal(err)
		}
	case convert.Seq2Seq:
		b := model.NewPairBatch(2, 4, 3)
		for i := range b.Source {
			b.Source[i] = int32(i)
		}
		dst = make([]float32, len(b.Input)*f.Seq2SeqInfo.Config.TargetVocab)
		use := func(m *model.Seq2Seq) error { return m.Logits(dst, b, f.Grid) }
		m, err := f.Seq2Seq(one, use)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := use(m.Seq2Seq); err != nil {
			t.Fatal(err)
		}
	default:
		b := model.NewBatch(2, 5)
		for i := range b.Inputs {
			b.Inputs[i] = int32(i)
		}
		dst = make([]float32, len(b.Inputs)*f.GPTInfo.Config.Vocab)
		use := func(m *model.GPT) error { return m.Logits(dst, b, f.Grid) }
		m, err := f.GPT(one, use)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := use(m.GPT); err != nil {
			t.Fatal(err)
		}
	}
	return dst
}

// save saves the model of f in dir.
func save(t testing.TB, f *hub.Folder, dir string) {
	t.Helper()
	var m interface {
		Save(string) error
		Close()
	}
	var err error
	switch f.Kind {
	case convert.ViT:
		m, err = f.ViT(one)
	case convert.Seq2Seq:
		m, err = f.Seq2Seq(one)
	default:
		m, err = f.GPT(one)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
}

// TestOpen opens, runs and saves a model of each kind, of runs and of other folders. What
// was saved has the model's bits.
func TestOpen(t *testing.T) {
	t.Parallel()
	root := oldRuns(t)
	for _, c := range []struct {
		name string
		kind convert.Kind
		grid bdia.Grid
		pair bool // the run learned prompts and completions
	}{
		{"base", convert.GPT, bdia.NoGrid, false},
		{"text", convert.GPT, 9, false},
		{"completion", convert.GPT, 9, true},
		{"lora", convert.GPT, 9, true},
		{"image", convert.ViT, 9, false},
		{"translation", convert.Seq2Seq, 9, false},
	} {
		for _, best := range []bool{false, true} {
			dir := filepath.Join(root, c.name)
			f, err := hub.Open(dir, hub.Options{Best: best})
			if best && c.name == "base" {
				if !errors.Is(err, hub.ErrNoRun) {
					t.Errorf("the best of no run: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind != c.kind || f.Grid != c.grid || (f.Separator != nil) != c.pair || c.pair && *f.Separator != "\n" {
				t.Errorf("%s: %s, grid %v, separator %v", c.name, f.Kind, f.Grid, f.Separator)
			}
			if best {
				if again := mustOpen(t, filepath.Join(dir, "best"), hub.Options{}); again.Grid != f.Grid || again.Dir != f.Dir || again.Run != filepath.Join(dir, "best", "..") {
					t.Errorf("%s: the best/ folder alone is %+v, want %+v", c.name, again, f)
				}
			}
			want := logits(t, f)
			out := filepath.Join(t.TempDir(), "saved")
			save(t, f, out)
			saved := mustOpen(t, out, hub.Options{Kind: c.kind})
			if saved.Run != "" || saved.Grid != bdia.NoGrid || saved.Adapter != "" {
				t.Errorf("%s: what was saved is %+v", c.name, saved)
			}
			saved.Grid = f.Grid
			testkit.EqualBits(t, c.name+", saved", logits(t, saved), want)
		}
	}
}

// TestOpenErrors checks what is refused, and that the reason can be told apart.
func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    hub.Options
		do   func(root string) (dir string)
		want error
		text string
	}{
		{"nothing", hub.Options{}, func(root string) string { return filepath.Join(root, "none") }, fs.ErrNotExist, "none"},
		{"nothing, best", hub.Options{Best: true}, func(root string) string { return filepath.Join(root, "none") }, fs.ErrNotExist, "none"},
		{"a file", hub.Options{}, func(root string) string {
			path := filepath.Join(root, "text", "notes.txt")
			if err := os.WriteFile(path, nil, 0o666); err != nil {
				t.Fatal(err)
			}
			return path
		}, hub.ErrNoModel, "it is a file"},
		{"no model", hub.Options{}, func(root string) string { return root }, hub.ErrNoModel, "config.json is missing"},
		{"another kind", hub.Options{Kind: convert.GPT}, func(root string) string { return filepath.Join(root, "translation") }, convert.ErrUnsupported, "encoder-decoder"},
		{"adapter of images", hub.Options{Adapter: "x"}, func(root string) string { return filepath.Join(root, "image") }, convert.ErrUnsupported, "vision"},
		{"no best", hub.Options{Best: true}, func(root string) string {
			dir := filepath.Join(root, "text")
			os.RemoveAll(filepath.Join(dir, "best"))
			return dir
		}, hub.ErrNoBest, "use the latest"},
		{"two adapters", hub.Options{Adapter: "x"}, func(root string) string { return filepath.Join(root, "lora") }, hub.ErrAdapters, "second adapter"},
		{"changed base", hub.Options{}, func(root string) string {
			edit(t, filepath.Join(root, "lora", hub.RunFile), "base: sha256:2c82", "base: sha256:2c83")
			return filepath.Join(root, "lora", "best")
		}, hub.ErrBase, "tune.base"},
		{"base gone", hub.Options{}, func(root string) string {
			os.RemoveAll(filepath.Join(root, "base"))
			return filepath.Join(root, "lora")
		}, fs.ErrNotExist, "base_model_name_or_path"},
		{"no tokenizer", hub.Options{}, func(root string) string {
			os.Remove(filepath.Join(root, "text", "chars.json"))
			return filepath.Join(root, "text")
		}, tokenizer.ErrNotFound, "text"},
		{"another tokenizer", hub.Options{}, func(root string) string {
			dir := filepath.Join(root, "text")
			os.Remove(filepath.Join(dir, "chars.json"))
			for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"} {
				text, err := os.ReadFile(filepath.Join(root, "base", name))
				if err := errors.Join(err, os.WriteFile(filepath.Join(dir, name), text, 0o666)); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		}, hub.ErrMismatch, "tokens"},
		{"tokenizer of another translation", hub.Options{}, func(root string) string {
			edit(t, filepath.Join(root, "translation", "config.json"), `"source_vocab_size": 283`, `"source_vocab_size": 284`)
			edit(t, filepath.Join(root, "translation", "config.json"), `"target_vocab_size": 283`, `"target_vocab_size": 284`)
			return filepath.Join(root, "translation")
		}, hub.ErrMismatch, "special"},
		{"settings in flow style", hub.Options{}, func(root string) string {
			edit(t, filepath.Join(root, "text", hub.RunFile), "method:\n", "method: {}\n#")
			return filepath.Join(root, "text")
		}, hub.ErrSettings, "line 24"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := hub.Open(c.do(oldRuns(t)), c.o)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}

// TestWithoutText opens a language model without tokenizer files.
func TestWithoutText(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(oldRuns(t), "text")
	if err := os.Remove(filepath.Join(dir, "chars.json")); err != nil {
		t.Fatal(err)
	}
	if f := mustOpen(t, dir, hub.Options{WithoutText: true}); f.Tokenizer != nil {
		t.Errorf("a tokenizer of %d tokens", f.Tokenizer.VocabSize())
	}
}

// TestHostileSizes: a description of terabytes beside a small file is refused before
// memory is taken.
func TestHostileSizes(t *testing.T) {
	t.Parallel()
	root := oldRuns(t)
	edit(t, filepath.Join(root, "text", "config.json"), `"n_embd": 16`, `"n_embd": 1048576`)
	edit(t, filepath.Join(root, "text", "config.json"), `"n_head": 2`, `"n_head": 8192`)
	f := mustOpen(t, filepath.Join(root, "text"), hub.Options{})
	rehearsed := false
	_, err := f.GPT(one, func(*model.GPT) error { rehearsed = true; return nil })
	if !errors.Is(err, hub.ErrMismatch) || !strings.Contains(err.Error(), "TiB") || rehearsed {
		t.Errorf("%v, rehearsed: %v", err, rehearsed)
	}
	if _, err := f.ViT(one); !errors.Is(err, convert.ErrUnsupported) {
		t.Errorf("a language model as images: %v", err)
	}
}

// TestSaveRefuses: a model is not saved over a run, or beside files that change what
// it means.
func TestSaveRefuses(t *testing.T) {
	t.Parallel()
	root := oldRuns(t)
	m, err := mustOpen(t, filepath.Join(root, "text"), hub.Options{}).GPT(one)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, dir := range []string{"text", "lora/best"} {
		if err := m.Save(filepath.Join(root, dir)); !errors.Is(err, hub.ErrOther) {
			t.Errorf("saved over %s: %v", dir, err)
		}
	}
}
