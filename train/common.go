// Package train is the training loop: one step from top to bottom, evaluation, checkpoints, and the sinks that say what
// happens to gradients. What a run learns is a Task, of package train/text, train/pairs, train/images or train/tune, or
// a Learner of your own (see Start).
package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/optim"
)

// Common are the settings that every run has.
type Common struct {
	Method    bdia.Options    `yaml:"method"` // of the model
	Optimizer optim.Config    `yaml:"optimizer"`
	Schedule  optim.Schedule  `yaml:"schedule"`
	Loop      LoopConfig      `yaml:"loop"`
	Engine    backend.Options `yaml:"engine"`
}

// DefaultCommon returns settings for steps steps of a model of your own: AdamW with a cosine schedule, a warm-up of a
// twentieth of the steps, and evaluations at ten points.
func DefaultCommon(steps int) Common {
	o, _ := optim.Default("adamw")
	return Common{Method: bdia.DefaultOptions(), Optimizer: o,
		Schedule: optim.Schedule{Kind: "cosine", LR: 1e-3, Final: 0.1, Warmup: steps / 20, Steps: steps},
		Loop:     LoopConfig{Update: WhenAuto, Seed: 1, EvalEvery: max(1, steps/10), LogEvery: 10, CheckEvery: DefaultCheckEvery, Keep: 2}}
}

// Validate returns an error for the first invalid setting.
func (c Common) Validate() error {
	return cmp.Or(c.Optimizer.Validate(), c.Schedule.Validate(), c.Loop.Validate(), c.validateEngine())
}

// DefaultCheckEvery is how many steps apart a new run checks memory: so seldom that it costs less than 0.5 % of the
// time.
const DefaultCheckEvery = 40

// ErrCombination is wrapped by errors about choices that exclude each other.
var ErrCombination = errors.New("impossible combination")

// When says when gradients are applied.
type When string

const (
	WhenAuto When = "auto" // now if it is possible, else end
	WhenNow  When = "now"  // each block at once, in the reverse walk: online back-propagation
	WhenEnd  When = "end"  // all at the end of the step
)

// LoopConfig describes the loop around the steps.
type LoopConfig struct {
	Batch        int     `yaml:"batch"`                // samples of a step; 0: as many pairs as its tokens allow
	MicroBatch   int     `yaml:"micro_batch"`          // samples at a time; 0: the whole batch
	Update       When    `yaml:"update"`               // auto, now or end
	EMA          float64 `yaml:"ema"`                  // decay of a moving average of the weights, which is then what is evaluated; 0: none
	Clip         float64 `yaml:"clip"`                 // largest global gradient norm; 0: no clipping
	Seed         uint64  `yaml:"seed"`                 // of weights, data order, augmentation, gamma and dropout
	EvalEvery    int     `yaml:"eval_every"`           // steps between evaluations; 0: at the end only
	EvalSamples  int     `yaml:"eval_samples"`         // most windows, images or pairs of an evaluation; 0: all
	EvalTrain    bool    `yaml:"eval_train"`           // evaluate on what is trained on as well
	Patience     int     `yaml:"patience"`             // stop after so many evaluations without a better one; 0: never
	SampleEvery  int     `yaml:"sample_every"`         // steps between samples of text; 0: never
	SampleTokens int     `yaml:"sample_tokens"`        // length of a sample
	SaveEvery    int     `yaml:"save_every"`           // steps between checkpoints; 0: at evaluations, or by SaveInterval
	CheckEvery   int     `yaml:"check_every,omitzero"` // steps between checks of memory (see Checker); 0: never
	Certificate  bool    `yaml:"certificate,omitzero"` // record digests of every step, which is checked too
	LogEvery     int     `yaml:"log_every"`            // steps between records of the training loss
	TensorBoard  bool    `yaml:"tensorboard"`          // write TensorBoard event files

	OnDivergence OnDivergence `yaml:"on_divergence,omitzero"` // empty or stop, skip or rewind
	// SaveInterval is the time between checkpoints, if SaveEvery is 0; 0: checkpoints are by steps.
	SaveInterval time.Duration `yaml:"save_interval,omitzero"`
	// Keep is how many checkpoints are kept beside the best weights, with the latest; 0 is 1.
	Keep int `yaml:"keep,omitzero"`
}

// Sizes beyond these are taken for mistakes: no machine has memory for them, and they keep every sum of sizes within
// range.
const (
	MaxTokens  = 1 << 24 // positions in a micro-batch
	MaxSamples = 1 << 24 // in a batch
)

// Fits calls fits with the limits of the device that the run is to use, if this machine has it. What it lacks is for
// the device to say.
func (c Common) Fits(fits func(backend.Limits) error) error {
	be, err := backend.NewPlan(c.Engine)
	if err != nil {
		return nil
	}
	return fits(be.Limits())
}

// AtOnce reports a micro-batch of more samples than most.
func (l LoopConfig) AtOnce(most int) error {
	if n := l.SamplesAtOnce(); n > most {
		return fmt.Errorf("train: %d samples of this size at a time; at most %d are possible: use a smaller batch, or micro-batches", n, most)
	}
	return nil
}

// validateEngine leaves out the instruction set: a run goes on with another one on a
// machine that lacks the recorded one.
func (c Common) validateEngine() error {
	e := c.Engine
	e.ISA = ""
	return e.Validate()
}

// Validate returns an error for the first invalid setting.
func (l LoopConfig) Validate() error {
	if l.Batch < 0 || l.Batch > MaxSamples {
		return errBatch(l.Batch)
	}
	if l.MicroBatch < 0 || l.Batch%l.SamplesAtOnce() != 0 {
		return fmt.Errorf("train: a batch of %d cannot be cut into micro-batches of %d; choose a divisor, or 0 for the whole batch", l.Batch, l.MicroBatch)
	}
	if !(l.EMA >= 0 && l.EMA < 1) {
		return fmt.Errorf("train: the average of the weights decays with %v; it must be at least 0 and below 1", l.EMA)
	}
	if !(l.Clip >= 0) {
		return fmt.Errorf("train: clipping at norm %v; it must be positive, or 0 for none", l.Clip)
	}
	for _, n := range []struct {
		name string
		v    int
	}{{"eval_every", l.EvalEvery}, {"eval_samples", l.EvalSamples}, {"patience", l.Patience}, {"sample_every", l.SampleEvery},
		{"sample_tokens", l.SampleTokens}, {"save_every", l.SaveEvery}, {"keep", l.Keep}, {"log_every", l.LogEvery}, {"check_every", l.CheckEvery}} {
		if n.v < 0 {
			return fmt.Errorf("train: %s is %d; it must not be negative", n.name, n.v)
		}
	}
	switch {
	case l.SaveInterval < 0:
		return fmt.Errorf("train: save_interval is %v; it must not be negative", l.SaveInterval)
	case l.SaveInterval > 0 && l.SaveEvery > 0:
		return fmt.Errorf("train: %w: a checkpoint every %d steps and every %v; choose one of them", ErrCombination, l.SaveEvery, l.SaveInterval)
	}
	switch l.OnDivergence {
	case "", StopDiverged, SkipDiverged, RewindDiverged:
	default:
		return fmt.Errorf("train: on_divergence is %q; use stop, skip or rewind", l.OnDivergence)
	}
	switch l.Update {
	case WhenAuto, WhenEnd:
	case WhenNow:
		if l.Clip > 0 || l.microBatches() > 1 {
			return &UpdateError{l.Clip, l.microBatches()}
		}
	default:
		return fmt.Errorf("train: unknown update %q; use auto, now or end", l.Update)
	}
	return nil
}

// HasBatch reports a batch without samples.
func (l LoopConfig) HasBatch() error {
	if l.Batch < 1 {
		return errBatch(l.Batch)
	}
	return nil
}

func errBatch(n int) error {
	return fmt.Errorf("train: a batch of %d samples; it must have from 1 to %d", n, MaxSamples)
}

// SamplesAtOnce returns how many samples go through the model together: a
// micro-batch, or the whole batch where that is not cut.
func (l LoopConfig) SamplesAtOnce() int {
	if l.MicroBatch == 0 {
		return max(l.Batch, 1)
	}
	return l.MicroBatch
}

// microBatches is in how many pieces a batch is cut: at least 2 if only the size of a piece is known.
func (l LoopConfig) microBatches() int {
	if l.MicroBatch > 0 && l.Batch == 0 {
		return 2
	}
	return max(l.Batch/l.SamplesAtOnce(), 1)
}

// lookups is how many rows of a table the micro-batches of a step of l look up at most; 0 if there is one.
func (l LoopConfig) lookups(of Learner) int {
	if l.microBatches() == 1 {
		return 0
	}
	if e, ok := ability[Embedder](of); ok {
		return e.Lookups()
	}
	return math.MaxInt
}

// updatesNow resolves auto: online back-propagation is for the reverse walk of a
// reversible stack, if nothing has to wait for the end of the step.
func (c Common) updatesNow() bool {
	switch c.Loop.Update {
	case WhenNow:
		return true
	case WhenAuto:
		return c.Method.Memory == bdia.Reversible && c.Loop.Clip == 0 && c.Loop.microBatches() == 1
	}
	return false
}
