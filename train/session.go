package train

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
)

// Session is a model in training on one backend: everything that a step needs,
// and nothing that outlives the process.
type Session struct {
	Model     *model.GPT
	Optimizer *optim.Optimizer

	be      backend.Backend
	cfg     Config
	sink    stepSink
	inputs  []int32 // (micro-batch, T)
	targets []int32
}

// NewSession allocates model and optimiser on be. Weights are unspecified.
func NewSession(be backend.Backend, cfg Config) (*Session, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := model.NewGPT(be, cfg.Model, cfg.Method)
	if err != nil {
		return nil, err
	}
	opt, err := optim.New(be, cfg.Optimizer, m.Params())
	if err != nil {
		return nil, err
	}
	n := cfg.Loop.SamplesAtOnce() * cfg.Model.Context
	s := &Session{Model: m, Optimizer: opt, be: be, cfg: cfg, inputs: make([]int32, n), targets: make([]int32, n)}
	if cfg.updatesNow() {
		s.sink = &updateNow{be: be, opt: opt}
	} else {
		s.sink = newAccumulate(be, opt, m.Params(), cfg.Loop.Clip, cfg.Loop.microBatches())
	}
	return s, nil
}

// StepResult is what one optimiser step measured.
type StepResult struct {
	Loss     float64 // mean over the tokens of the batch, nats, before the update
	LR       float64
	GradNorm float64 // before clipping; 0 where it was not measured
	MaxAbs   float64 // largest |x| of the residual stream; 0 without a grid
}

// source fills the samples first..first+n-1 of a step's batch.
type source interface {
	Batch(step, first, n int, inputs, targets []int32) error
}

// Step runs optimiser step number step (1, 2, ...) on samples from src. On
// failure no parameter has changed.
func (s *Session) Step(step int, src source) (StepResult, error) {
	r := StepResult{LR: s.cfg.Schedule.At(step)}
	micro, T := s.cfg.Loop.SamplesAtOnce(), s.cfg.Model.Context
	tokens := float64(s.cfg.Loop.Batch * T)
	s.sink.begin(step, r.LR)
	var sum float64
	for i := range s.cfg.Loop.microBatches() {
		if err := src.Batch(step, i*micro, micro, s.inputs, s.targets); err != nil {
			return r, err
		}
		batch := model.Batch{Size: micro, Inputs: s.inputs, Targets: s.targets}
		pass := backend.Pass{Train: true, Seed: s.cfg.Loop.Seed, Step: step, Sample: i * micro}
		if err := s.Model.Step(batch, pass, float32(1/tokens), s.sink, &sum); err != nil {
			return r, err
		}
		r.MaxAbs = max(r.MaxAbs, s.Model.Stack.MaxAbs())
	}
	r.Loss = sum / tokens
	var err error
	r.GradNorm, err = s.sink.end()
	return r, err
}

// finite fails where the update of a step has left weights that are not finite,
// which its loss, taken before, does not show: such weights must not replace a
// checkpoint.
func (s *Session) finite(step int) error {
	for _, p := range s.Model.Params() {
		if sum := s.be.SumSquares(p.Value); math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("train: %s has weights out of range after step %d, so that the next %w; lower the learning rate, lengthen the warm-up or clip gradients",
				p.Name, step, model.ErrDiverged)
		}
	}
	return nil
}

// Evaluate returns the mean loss per token, in nats, of the ordinary
// transformer (gamma 0, states on the run's grid) over the windows of set.
func (s *Session) Evaluate(set *data.Sequential) (float64, error) {
	T := s.cfg.Model.Context
	var sum float64
	for first := 0; first < set.Len(); {
		n := min(s.cfg.Loop.SamplesAtOnce(), set.Len()-first)
		in, out := s.inputs[:n*T], s.targets[:n*T]
		if err := set.Batch(first, n, in, out); err != nil {
			return 0, err
		}
		if err := s.Model.Loss(model.Batch{Size: n, Inputs: in, Targets: out}, s.cfg.Method.Grid, &sum); err != nil {
			return 0, err
		}
		first += n
	}
	return sum / float64(set.Len()*T), nil
}

// noData stands in for text while a run is planned.
type noData struct{}

func (noData) Batch(_, _, _ int, _, _ []int32) error { return nil }

// Plan returns the peak memory of a run of cfg, to the byte: it runs the code
// of one step, one evaluation and one sample on the planning backend.
func Plan(cfg Config) (backend.Usage, error) {
	be := plan.New(cpu.ScratchBytes(cfg.Engine.Threads))
	s, err := NewSession(be, cfg)
	if err != nil {
		return backend.Usage{}, err
	}
	if _, err := s.Step(1, noData{}); err != nil {
		return backend.Usage{}, fmt.Errorf("train: planning: %w", err)
	}
	var sum float64
	batch := model.Batch{Size: cfg.Loop.SamplesAtOnce(), Inputs: s.inputs, Targets: s.targets}
	if err := s.Model.Loss(batch, cfg.Method.Grid, &sum); err != nil {
		return backend.Usage{}, fmt.Errorf("train: planning: %w", err)
	}
	s.Model.NextLogits(make([]float32, cfg.Model.Vocab), make([]int32, cfg.Model.Context), cfg.Method.Grid)
	return be.Peak(), nil
}

// PlanModes plans cfg as it is and as ordinary back-propagation: the plain
// transformer with stored, or recomputed, activations, and gradients kept to
// the end of the step.
func PlanModes(cfg Config) (map[string]backend.Usage, error) {
	modes := make(map[string]backend.Usage, 3)
	for _, m := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		u, err := Plan(cfg.WithMemory(m))
		if err != nil {
			return nil, err
		}
		modes[m.String()] = u
	}
	return modes, nil
}

// WithMemory returns c in another memory mode, with the method that goes with it.
func (c Config) WithMemory(m bdia.Memory) Config {
	if m == c.Method.Memory {
		return c
	}
	c.Method = bdia.DefaultOptions()
	if m != bdia.Reversible {
		c.Method = bdia.Options{Memory: m, Gamma: 0, Grid: bdia.NoGrid}
		c.Loop.Update = UpdateEnd
	}
	return c
}

// LargestBatch returns the largest batch, run as one micro-batch, whose plan
// fits into budget bytes in mode m, and that plan. It returns 0 where not even
// a batch of one fits.
func LargestBatch(cfg Config, m bdia.Memory, budget int64) (int, backend.Usage, error) {
	cfg = cfg.WithMemory(m)
	var best backend.Usage
	fits := func(batch int) (bool, error) {
		cfg.Loop.Batch, cfg.Loop.MicroBatch = batch, 0
		u, err := Plan(cfg)
		if err == nil && u.Total <= budget {
			best = u
			return true, nil
		}
		return false, err
	}
	low, high, most := 0, 1, maxTokens/cfg.Model.Context // low fits, high does not
	for high <= most {
		ok, err := fits(high)
		if err != nil {
			return 0, best, err
		}
		if !ok {
			break
		}
		low, high = high, 2*high
	}
	high = min(high, most+1)
	for high-low > 1 {
		mid := (low + high) / 2
		ok, err := fits(mid)
		if err != nil {
			return 0, best, err
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	return low, best, nil
}

// NewCPU returns a CPU backend whose arena is the plan's peak.
func NewCPU(cfg Config, peak backend.Usage) (*cpu.Backend, error) {
	return cpu.New(cpu.Options{Threads: cfg.Engine.Threads, ISA: cfg.Engine.ISA, ArenaBytes: peak.Total})
}
