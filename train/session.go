package train

import (
	"context"
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// Session is a model in training on one backend: everything that a step needs,
// and nothing that outlives the process.
type Session struct {
	Optimizer optim.Optimizer

	be      backend.Backend
	cfg     Config
	learner learner
	sink    Sink
	average *optim.Average // of the weights; nil: there is none
}

// NewSession allocates model and optimiser of cfg on be, to learn from samples.
// Weights are unspecified until Init.
func NewSession(be backend.Backend, cfg Config, samples Samples) (*Session, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l, err := samples.learner(be, cfg)
	if err != nil {
		return nil, err
	}
	opt, err := cfg.Optimizer.New(be, l.Learned())
	if err != nil {
		return nil, err
	}
	s := &Session{Optimizer: opt, be: be, cfg: cfg, learner: l}
	s.sink = UpdateNow(be, opt)
	if cfg.Loop.Clip > 0 {
		s.sink = Clip(be, l.Learned(), cfg.Loop.Clip, s.sink)
	}
	if !cfg.updatesNow() {
		s.sink = Accumulate(be, l.Learned(), cfg.Loop.microBatches(), s.sink)
	}
	if cfg.Loop.EMA > 0 {
		s.average = optim.NewAverage(be, l.Learned(), cfg.Loop.EMA)
	}
	return s, nil
}

// Params lists every parameter of the model.
func (s *Session) Params() []*tensor.Param { return s.learner.Params() }

// Init gives the model the weights with which a run begins: initial ones drawn
// from its seed, or those that it is to start from.
func (s *Session) Init() error {
	if err := s.learner.start(s.cfg.Loop.Seed); err != nil {
		return err
	}
	if s.average != nil {
		s.average.Start()
	}
	return nil
}

// inUse calls f while the model has the weights that are evaluated and given
// away: their average, where there is one.
func (s *Session) inUse(f func() error) error {
	if s.average != nil {
		s.average.Swap()
		defer s.average.Swap()
	}
	return f()
}

// evaluate measures the weights in use (see learner).
func (s *Session) evaluate(ctx context.Context, training bool) (score Score, ok bool, err error) {
	err = s.inUse(func() error {
		score, ok, err = s.learner.evaluate(ctx, training)
		return err
	})
	return score, ok, err
}

// StepResult is what one optimiser step measured.
type StepResult struct {
	Loss     float64 // mean over the batch in nats, a token or an image, before the update
	Losses   int     // of the batch: tokens or images
	LR       float64
	GradNorm float64 // before clipping; 0 where it was not measured
	MaxAbs   float64 // largest |x| of the residual stream; 0 without a grid
}

// Step runs optimiser step number step (1, 2, ...). On failure no parameter has
// changed.
func (s *Session) Step(step int) (StepResult, error) {
	r := StepResult{LR: s.cfg.Schedule.At(step)}
	samples, losses, err := s.learner.batch(step)
	if err != nil {
		return r, err
	}
	r.Losses = losses
	micro := samples / s.cfg.Loop.microBatches()
	s.sink.Begin(step, r.LR)
	var sum float64
	for first := 0; first < samples; first += micro {
		pass := backend.Pass{Train: true, Seed: s.cfg.Loop.Seed, Step: step, Sample: first}
		each, err := s.learner.step(pass, micro, float32(1/float64(losses)), s.sink)
		if err != nil {
			return r, err
		}
		sum = model.AddLosses(sum, each)
		r.MaxAbs = max(r.MaxAbs, s.learner.maxAbs())
	}
	r.Loss = sum / float64(losses)
	if r.GradNorm, err = s.sink.End(); err == nil && s.average != nil {
		s.average.Update(step)
	}
	return r, err
}

// finite fails where the update of a step has left weights that are not finite,
// which its loss, taken before, does not show: such weights must not replace a
// checkpoint.
func (s *Session) finite(step int) error {
	if p := optim.NotFinite(s.be, s.learner.Learned()); p != nil {
		return fmt.Errorf("train: %s has weights out of range after step %d, so that the next %w; lower the learning rate, lengthen the warm-up or clip gradients",
			p.Name, step, model.ErrDiverged)
	}
	return nil
}
