package train

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// lying says that its batches have more losses than they have.
type lying struct {
	ownSource
	more int
}

func (s lying) Size(step int) (samples, losses int, err error) {
	samples, losses, err = s.ownSource.Size(step)
	return samples, losses + s.more, err
}

// TestSourceMiscounts: a Size with too many or too few losses fails the step before parameters change, for each cut into
// micro-batches, and fails an evaluation. Targets without a loss do not count.
func TestSourceMiscounts(t *testing.T) {
	t.Parallel()
	honest := ownSource{T: 8, samples: 6, vocab: 13}
	for _, more := range []int{-8, -1, 0, 1} {
		for _, micro := range []int{0, 2, 3} {
			o := ownOptions()
			o.Loop.MicroBatch = micro
			if micro > 0 {
				o.Loop.Batch = honest.samples
			}
			be, err := backend.Open(backend.Options{Threads: 1}, 64<<20)
			if err != nil {
				t.Fatal(err)
			}
			defer be.Close()
			m, err := model.NewGPT(be, ownModel(), bdia.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			s, err := NewSession(be, Learn(m, lying{honest, more}), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Init(); err != nil {
				t.Fatal(err)
			}
			before := values(be, m.Params())
			_, err = s.Step(1)
			if changed := !slices.Equal(before, values(be, m.Params())); errors.Is(err, model.ErrBatch) != (more != 0) || changed != (more == 0) {
				t.Errorf("%+d losses, micro-batches of %d: %v, parameters changed: %v", more, micro, err, changed)
			}
			if _, _, err := Measure(m, lying{honest, more}, 1, bdia.DefaultGrid).Evaluate(t.Context(), false); errors.Is(err, model.ErrBatch) != (more != 0) {
				t.Errorf("evaluation with %+d losses: %v", more, err)
			}
		}
	}
}

// namesakes is an optimiser with two moments of one name.
type namesakes struct{ optim.Func }

func (n namesakes) New(be backend.Backend, params []*tensor.Param) (optim.Optimizer, error) {
	o, err := n.Func.New(be, params)
	return twoMoments{o}, err
}

type twoMoments struct{ optim.Optimizer }

func (twoMoments) Moments() []optim.Moment { return []optim.Moment{{Name: "m"}, {Name: "m"}} }

// TestOwnMistakes: names that a checkpoint could not keep, and blocks, sinks and optimisers that are nil, fail before the
// first step.
func TestOwnMistakes(t *testing.T) {
	t.Parallel()
	idle := optim.Func(func(backend.Backend, []*tensor.Param, int, float64) {})
	same := func(be backend.Backend) func(int) bdia.Block {
		return func(int) bdia.Block {
			return nn.NewBlock(be, "same.", 0, nn.BlockConfig{Width: 24, Heads: 2, MLP: 96})
		}
	}
	for want, tc := range map[string]struct {
		o      func(*Options)
		blocks func(backend.Backend) func(int) bdia.Block
	}{
		"two parameters":   {blocks: same},
		"two moments":      {o: func(o *Options) { o.Maker = namesakes{idle} }},
		"a Func that is":   {o: func(o *Options) { o.Maker = optim.Func(nil) }},
		"no sink":          {o: func(o *Options) { o.Through = func(backend.Backend, Sink) Sink { return nil } }},
		"block 0 is nil":   {blocks: func(backend.Backend) func(int) bdia.Block { return func(int) bdia.Block { return nil } }},
		"makes the blocks": {blocks: func(backend.Backend) func(int) bdia.Block { return nil }},
	} {
		o := ownOptions()
		if tc.o != nil {
			tc.o(&o)
		}
		build := ownLearner
		if tc.blocks != nil {
			build = func(be backend.Backend) (Learner, error) {
				m, err := model.NewGPTWith(be, ownModel(), bdia.DefaultOptions(), tc.blocks(be))
				return Learn(m, ownSource{T: 8, samples: 6, vocab: 13}), err
			}
		}
		r, err := Start(filepath.Join(t.TempDir(), "run"), build, o)
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := r.Train(t.Context(), nil); err == nil || !strings.Contains(err.Error(), want) || sum.Steps != 0 {
			t.Errorf("%s: %v after %d steps", want, err, sum.Steps)
		}
	}
}

// values returns the values of all params.
func values(be backend.Backend, params []*tensor.Param) (all []float32) {
	for _, p := range params {
		host := make([]float32, p.Value.Len())
		be.Download(host, p.Value)
		all = append(all, host...)
	}
	return all
}

// TestNothingGiven: a run without a model, source or context says so.
func TestNothingGiven(t *testing.T) {
	t.Parallel()
	s := ownSource{T: 8, samples: 6, vocab: 13}
	for want, learner := range map[string]func(m *model.GPT) Learner{
		"Learn without a model":   func(*model.GPT) Learner { return Learn((*model.GPT)(nil), s) },
		"Learn without a source":  func(m *model.GPT) Learner { return Learn[model.Batch](m, nil) },
		"Learn without a model ":  func(*model.GPT) Learner { return Learn[model.Batch](nil, s) },
		"Measure without a model": func(m *model.GPT) Learner { return Learn(m, s, Measure((*model.GPT)(nil), s, 1, 9)) },
		"Measure without a source": func(m *model.GPT) Learner {
			return Learn(m, s, Measure[model.Batch](m, nil, 1, 9))
		},
	} {
		r, err := Start("", func(be backend.Backend) (Learner, error) {
			m, err := model.NewGPT(be, ownModel(), bdia.DefaultOptions())
			return learner(m), err
		}, ownOptions())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = r.Train(t.Context(), nil); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := (Pretrained{Folder: &hub.Folder{}, Source: s, HeldOut: s}).Start("", ownOptions()); err == nil || !strings.Contains(err.Error(), "set Batches") {
		t.Errorf("an evaluation on no batches: %v", err)
	}
	defer func() {
		if said, ok := recover().(string); !ok || !strings.Contains(said, "context.Background()") {
			t.Errorf("a nil context: %v", said)
		}
	}()
	var none context.Context
	_, _ = start(t, "", ownOptions()).Train(none, nil)
}
