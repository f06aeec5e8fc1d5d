package train

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/tokenizer"
)

// ended trains r to its end.
func ended(t *testing.T, r *Run) Summary {
	t.Helper()
	sum, err := r.Train(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestPretrained: a run begins with the weights of the folder, and its best weights are a folder of which a run begins
// again, with their loss.
func TestPretrained(t *testing.T) {
	t.Parallel()
	source := Sequences(4, 16, func(step, sample, t int) int32 { return int32((step + 3*sample + t) % 50) })
	o := ownOptions()
	first := func(from string) Summary {
		folder, err := hub.Open(from, hub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Pretrained{Folder: folder, Source: source, HeldOut: source, Batches: 2}.Start(filepath.Join(t.TempDir(), "run"), o)
		if err != nil {
			t.Fatal(err)
		}
		sum := ended(t, r)
		from = r.BestDir()
		if again, err := hub.Open(from, hub.Options{}); err != nil || again.Tokenizer.VocabSize() != folder.Tokenizer.VocabSize() || *again.GPTInfo.End != *folder.GPTInfo.End {
			t.Errorf("%+v, %v", again, err)
		}
		folder, err = hub.Open(from, hub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err = Pretrained{Folder: folder, Source: source, HeldOut: source, Batches: 2}.Start("", o)
		if err != nil {
			t.Fatal(err)
		}
		if next := ended(t, r); next.FirstVal != sum.BestVal {
			t.Errorf("begins with %v, not with the best %v", next.FirstVal, sum.BestVal)
		}
		return sum
	}
	sum := first("testdata/oldruns/base")
	if !(sum.BestVal.Loss < sum.FirstVal.Loss) {
		t.Errorf("%v, then %v", sum.FirstVal, sum.BestVal)
	}
}

// TestWindows: the windows of a text are the same for every split into micro-batches, and their targets are one later.
func TestWindows(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("abcdefghijklmnopqrstuvwxyz"), 0o666); err != nil {
		t.Fatal(err)
	}
	learned, held, err := TextWindows(file, letters{}, 4, 3, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	if samples, losses, err := learned.Size(1); samples != 3 || losses != 12 || err != nil {
		t.Errorf("%d samples, %d losses, %v", samples, losses, err)
	}
	for name, s := range map[string]Source[model.Batch]{"learned": learned, "held out": held, "sequences": Sequences(3, 4, func(step, sample, t int) int32 { return int32(step + sample + t) })} {
		whole := filled(t, s, 2, 0, 3)
		parts := append(slices.Clone(filled(t, s, 2, 0, 2).Inputs), filled(t, s, 2, 2, 1).Inputs...)
		if !slices.Equal(whole.Inputs, parts) {
			t.Errorf("%s: %v, in parts %v", name, whole.Inputs, parts)
		}
		for i, in := range whole.Inputs {
			if whole.Targets[i] != in+1 {
				t.Errorf("%s: inputs %v, targets %v", name, whole.Inputs, whole.Targets)
			}
			if name == "held out" && in < 20 || name == "learned" && in >= 20 {
				t.Errorf("%s: token %d", name, in)
			}
		}
	}
	if _, _, err := TextWindows(file, letters{}, 20, 3, 0.25); !errors.Is(err, data.ErrTooShort) {
		t.Errorf("a text of less than a window: %v", err)
	}
}

// TestWindowsBegin: a text begins as the tokenizer has it begin.
func TestWindowsBegin(t *testing.T) {
	t.Parallel()
	tok, err := tokenizer.Load(testkit.SharedPath(t, "llm", "tokenizers_mini", "stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	text, want := []byte("Once upon a time there was a girl"), []int32{0}
	for len(want)%2 != 0 { // so that each half is one window
		text = append(text, '.')
		if want, err = tokenizer.EncodePrompt(tok, text); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, text, 0o666); err != nil {
		t.Fatal(err)
	}
	T := len(want)/2 - 1
	learned, _, err := TextWindows(file, tok, T, 1, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if got := filled(t, learned, 1, 0, 1).Inputs; !slices.Equal(got, want[:T]) || got[0] != 1 {
		t.Errorf("%v, want the beginning of %v", got, want)
	}
}

// filled returns samples of a step.
func filled(t *testing.T, s Source[model.Batch], step, first, n int) (b model.Batch) {
	t.Helper()
	if err := s.Fill(step, first, n, &b); err != nil || b.Size != n {
		t.Fatalf("%d samples, %v", b.Size, err)
	}
	return b
}

// TestLearnDraws: a model with a method Init draws its weights, if no ability says otherwise.
func TestLearnDraws(t *testing.T) {
	t.Parallel()
	s := ownSource{T: 8, samples: 6, vocab: 13}
	loss := func(abilities ...any) float64 {
		r, err := Start("", func(be backend.Backend) (Learner, error) {
			m, err := model.NewGPT(be, model.GPTConfig{Vocab: 13, Context: 8, Layers: 2, Heads: 2, Width: 16}, bdia.DefaultOptions())
			return Learn(m, s, append(abilities, Measure(m, s, 2, 9))...), err
		}, ownOptions())
		if err != nil {
			t.Fatal(err)
		}
		return ended(t, r).FirstVal.Loss
	}
	if zeros, drawn := loss(InitialiseFunc(func(uint64) error { return nil })), loss(); zeros == drawn {
		t.Errorf("loss %v with and without initial weights", drawn)
	}
}

// TestFunc: gradient descent as a function is SGD without momentum.
func TestFunc(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Schedule.LR = 0.1
	o.Maker = optim.Func(func(be backend.Backend, params []*tensor.Param, _ int, lr float64) {
		for _, p := range params {
			be.Scale(p.Grad, float32(-lr))
			be.Add(p.Value, p.Value, p.Grad)
		}
	})
	sum := ended(t, start(t, filepath.Join(t.TempDir(), "run"), o))
	if !(sum.LastVal.Loss < sum.FirstVal.Loss) {
		t.Errorf("%v, then %v", sum.FirstVal, sum.LastVal)
	}
}

// letters has a token for each letter.
type letters struct{}

func (letters) VocabSize() int { return 26 }

func (letters) EncodeStream(r io.Reader, emit func(ids []int32) error) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	ids := make([]int32, len(text))
	for i, c := range text {
		ids[i] = int32(c - 'a')
	}
	return emit(ids)
}

// TestNoSamples: a source without samples is an error.
func TestNoSamples(t *testing.T) {
	t.Parallel()
	r, err := Start("", func(be backend.Backend) (Learner, error) {
		m, err := model.NewGPT(be, model.GPTConfig{Vocab: 13, Context: 8, Layers: 2, Heads: 2, Width: 16}, bdia.DefaultOptions())
		return Learn(m, Sequences(0, 8, nil)), err
	}, ownOptions())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Train(t.Context(), nil); !errors.Is(err, model.ErrBatch) {
		t.Errorf("error %v, want ErrBatch", err)
	}
}
