package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// Options are what a run or a session of your own Learner is made with. Begin with DefaultCommon.
type Options struct {
	Common
	// Maker makes an optimiser of your own; nil: the one that Optimizer names.
	Maker optim.Maker
	// Through returns a sink between back-propagation, or Accumulate, and the sinks that clip and update, for example
	// an all-reduce; nil: there is none. It is called on a plan of the memory too, which runs a step without numbers:
	// what it downloads there is zero.
	Through func(be backend.Backend, next Sink) Sink
	// Baseline counts the first evaluation, before any step, as the best so far: for a model that was trained before.
	Baseline bool
	// NewPrecision asks Start to resume a run in another precision (see Run.NewPrecision).
	NewPrecision bool
}

// maker is what makes the optimiser.
func (o Options) maker() optim.Maker {
	if o.Maker != nil {
		return o.Maker
	}
	return o.Optimizer
}

// Session is a Learner with its optimiser: everything that a step needs, and nothing that outlives the process.
type Session struct {
	Learner   Learner
	Optimizer optim.Optimizer

	be      backend.Backend
	options Options
	sink    Sink
	updater *updateNow     // the last sink
	slower  float64        // factor of the learning rate
	stop    func() error   // asked between blocks; nil: nothing is
	once    bool           // the sink takes one micro-batch a step
	ranger  Ranger         // nil: the range is not measured
	average *optim.Average // of the weights; nil: there is none

	guard      *guard     // nil: nothing is checked
	checkers   []Checker  // of states
	certify    *certifier // nil: there are no certificates
	rehearsing bool       // every step is checked
	corrupt    error      // memory has changed: nothing goes on
}

// NewSession allocates the optimiser of l, which is on be. Weights are unspecified until Init. It fails with
// ErrCombination for settings that exclude each other.
func NewSession(be backend.Backend, l Learner, o Options) (*Session, error) {
	if err := o.Common.Validate(); err != nil {
		return nil, err
	}
	if l, ok := l.(interface{ complete() error }); ok {
		if err := l.complete(); err != nil {
			return nil, err
		}
	}
	opt, err := o.maker().New(be, l.Trainable())
	if err != nil {
		return nil, err
	}
	if err := rounds(opt, l.Trainable(), o.Loop.Seed); err != nil {
		return nil, err
	}
	s := &Session{Learner: l, Optimizer: opt, be: be, options: o, once: o.Loop.microBatches() == 1, updater: &updateNow{be: be, opt: opt}, slower: 1}
	s.ranger, _ = ability[Ranger](l)
	if o.Loop.EMA > 0 {
		s.average = optim.NewAverage(be, l.Trainable(), o.Loop.EMA)
	}
	s.sink = s.updater
	if o.Loop.CheckEvery > 0 || o.Loop.Certificate {
		s.checkers = abilities[Checker](l)
		s.guard = newGuard(s, s.sink)
		s.sink = s.guard
	}
	if o.Loop.Certificate {
		s.certify = newCertifier(s.guard)
	}
	if o.Loop.Clip > 0 {
		s.sink = Clip(be, l.Trainable(), o.Loop.Clip, s.sink)
	} else {
		s.sink = Finite(be, s.sink)
	}
	if o.Through != nil {
		if s.sink = o.Through(be, s.sink); s.sink == nil {
			return nil, fmt.Errorf("train: %w: Through returned no sink", ErrCombination)
		}
	}
	if !o.updatesNow() {
		s.sink = Accumulate(be, l.Trainable(), o.Loop.lookups(l), s.sink)
	}
	return s, nil
}

// rounds seeds the rounding of trainable parameters in BF16. It fails with ErrCombination for an optimiser that cannot
// round.
func rounds(opt optim.Optimizer, trainable []*tensor.Param, seed uint64) error {
	for _, p := range trainable {
		if p.Value.DType != tensor.BF16 {
			continue
		}
		r, ok := opt.(optim.Rounder)
		if !ok {
			return fmt.Errorf("train: %w: %s is in BF16, and an optimiser of type %T updates float32 only; give it the method Round (see optim.Rounder), or hold weights in float32",
				ErrCombination, p.Name, opt)
		}
		r.Round(seed)
		return nil
	}
	return nil
}

// session allocates the model and the optimiser of the run on its device, with the memory of a plan. Close the device.
func (r *Run) session(memory backend.Usage, o Options) (*Session, backend.Device, error) {
	be, err := backend.Open(o.Engine, memory.Total)
	if err != nil {
		return nil, nil, err
	}
	l, err := r.learner(be)
	if err != nil {
		be.Close()
		return nil, nil, err
	}
	s, err := NewSession(be, l, o)
	if err != nil {
		be.Close()
		return nil, nil, err
	}
	return s, be, nil
}

// Params lists every parameter of the model.
func (s *Session) Params() []*tensor.Param { return s.Learner.Params() }

// Init gives the model the weights with which a run begins (see Initialiser).
func (s *Session) Init() error {
	s.forget()
	if i, ok := ability[Initialiser](s.Learner); ok {
		if err := i.Initialise(s.options.Loop.Seed); err != nil {
			return err
		}
	}
	if s.average != nil {
		s.average.Start()
	}
	return nil
}

// InUse calls f while the model has the weights that are evaluated and given away: their average, if there is one.
func (s *Session) InUse(f func() error) error {
	if s.average != nil {
		s.average.Swap()
		defer s.average.Swap()
	}
	return f()
}

// evaluate measures the weights in use (see Evaluator).
func (s *Session) evaluate(ctx context.Context, training bool) (score Score, ok bool, err error) {
	e, able := ability[Evaluator](s.Learner)
	if !able {
		return Unmeasured, false, nil
	}
	err = s.InUse(func() error {
		score, ok, err = e.Evaluate(ctx, training)
		return err
	})
	return score, ok, err
}

// SetStop sets a function that is asked during a step, as long as no parameter has changed: between blocks, if the
// model knows how (see Stopper), and between micro-batches. Step then fails with its error, and can be run again with
// the same bits. A session with a sink of Options.Through, which may wait for other machines, asks between steps only.
func (s *Session) SetStop(stop func() error) {
	if s.options.Through != nil {
		return
	}
	s.stop = stop
	for _, m := range abilities[Stopper](s.Learner) {
		m.SetStop(s.stopped)
	}
}

// stopped asks whether to end the step at hand.
func (s *Session) stopped() error {
	if s.stop == nil || s.updater.began {
		return nil
	}
	return s.stop()
}

// StepResult is what one optimiser step measured.
type StepResult struct {
	Loss     float64 // mean over the batch in nats, a token or an image, before the update
	Losses   int     // of the batch: tokens or images
	LR       float64
	GradNorm float64 // before clipping; 0: it was not measured
	MaxAbs   float64 // largest |x| of the residual stream; 0 without a grid
}

// Step runs optimiser step number step (1, 2, ...). On failure no parameter has
// changed, with one exception: if gradients turn out not to be finite in the midst of
// updates in the reverse walk, the parameters that came before have (see Changed).
//
// A checked step, which the settings ask for, and the one after it fail with bdia.ErrCorrupt if memory has changed.
// Then weights are suspect: later steps, and Finite, fail with the same error.
func (s *Session) Step(step int) (StepResult, error) {
	if s.corrupt != nil {
		return StepResult{}, s.corrupt
	}
	r, err := s.step(step)
	if s.guard != nil && diverged(err) {
		err = cmp.Or(s.guard.failed(), err)
	}
	if errors.Is(err, bdia.ErrCorrupt) {
		s.corrupt = err
	}
	return r, err
}

// step is Step of sound memory.
func (s *Session) step(step int) (StepResult, error) {
	r := StepResult{LR: s.options.Schedule.At(step) * s.slower}
	samples, losses, err := s.Learner.Size(step)
	if err != nil {
		return r, err
	}
	if samples < 1 || losses < 1 {
		return r, fmt.Errorf("train: %w: step %d has %d samples with %d losses; it needs at least one of each", model.ErrBatch, step, samples, losses)
	}
	r.Losses = losses
	micro := samples
	if m := s.options.Loop.MicroBatch; m > 0 {
		micro = m
	}
	if s.once && samples > micro {
		return r, fmt.Errorf("train: %w: step %d has %d samples, more than the batch of %d that micro-batches of %d were planned for; set the batch to the samples of a step, or to 0",
			ErrCombination, step, samples, s.options.Loop.Batch, micro)
	}
	s.check(step)
	s.sink.Begin(step, r.LR)
	var sum float64
	for first := 0; first < samples; first += micro {
		if err := s.stopped(); err != nil {
			return r, err
		}
		pass := backend.Pass{Train: true, Seed: s.options.Loop.Seed, Step: step, Sample: first}
		each, err := s.Learner.MicroStep(pass, min(micro, samples-first), float32(1/float64(losses)), s.sink)
		if err != nil {
			return r, err
		}
		sum = model.AddLosses(sum, each)
		r.MaxAbs = max(r.MaxAbs, maxAbs(s.ranger))
		if s.certify != nil {
			s.certify.add(s.checkers)
		}
	}
	r.Loss = sum / float64(losses)
	if r.GradNorm, err = s.sink.End(); err != nil {
		return r, err
	}
	if s.average != nil {
		s.average.Update(step)
	}
	if s.guard != nil {
		s.guard.finish()
	}
	if s.certify != nil {
		s.certify.end(r.Loss, s.guard)
	}
	return r, nil
}

// Changed reports whether the latest step has changed parameters, although it failed.
func (s *Session) Changed() bool { return s.updater.began }

// sound fails if memory has changed: in a step, or since one that was checked.
func (s *Session) sound() error {
	if s.corrupt == nil && s.guard != nil {
		s.corrupt = s.guard.verify()
	}
	return s.corrupt
}

// Finite fails if the update of a step has left weights that are not finite,
// which its loss, taken before, does not show: such weights must not replace a
// checkpoint. It fails, too, if memory has changed: in a step, or since one that was checked.
func (s *Session) Finite(step int) error {
	if err := s.sound(); err != nil {
		return err
	}
	if p := optim.NotFinite(s.be, s.Learner.Trainable()); p != nil {
		return fmt.Errorf("train: %s has weights out of range after step %d, so that the next %w; lower the learning rate, lengthen the warm-up or clip gradients",
			p.Name, step, model.ErrDiverged)
	}
	return nil
}
