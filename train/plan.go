package train

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
)

// Plan returns the peak memory of a run of cfg, to the byte: it runs the code
// of a step, one evaluation and one sample on the planning backend. Pairs are
// assumed to be as long on both sides, and of whatever length takes the most (see
// Run.Plan).
func Plan(cfg Config) (backend.Usage, error) {
	return planOf(func(be backend.Backend) (Learner, error) {
		if err := cfg.Validate(); err != nil {
			return nil, err
		}
		return blank(cfg).Learner(be, cfg)
	}, Options{Common: cfg.Common})
}

// Plan returns the peak memory of the run, to the byte. The samples are open.
func (r *Run) Plan() (backend.Usage, error) { return planOf(r.learner, r.options()) }

// planOf is the plan of a run of the Learner that build makes.
func planOf(build func(be backend.Backend) (Learner, error), o Options) (backend.Usage, error) {
	be, err := backend.NewPlan(o.Engine)
	if err != nil {
		return backend.Usage{}, err
	}
	l, err := build(be)
	if err != nil {
		return backend.Usage{}, err
	}
	s, err := NewSession(be, l, o)
	if err != nil {
		return backend.Usage{}, err
	}
	if err := s.rehearse(); err != nil {
		return backend.Usage{}, fmt.Errorf("train: planning: %w", err)
	}
	return be.Peak(), nil
}

// fits reports a model that is too large for the device. What this machine lacks is for
// the device to say.
func (c Config) fits() error {
	be, err := backend.NewPlan(c.Engine)
	if err != nil {
		return nil
	}
	switch c.Task {
	case TaskImage:
		return c.ViT.Fits(be.Limits())
	case TaskTranslation:
		return c.Seq2Seq.Fits(be.Limits())
	}
	return c.Model.Fits(be.Limits())
}

// rehearse runs what takes memory: the largest steps, and what a run does beside them.
func (s *Session) rehearse() error {
	steps := []int{1}
	if p, ok := ability[Planner](s.Learner); ok {
		var err error
		if steps, err = p.Largest(); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if _, err := s.Step(step); err != nil {
			return err
		}
	}
	for _, r := range abilities[Rehearser](s.Learner) {
		if err := r.Rehearse(); err != nil {
			return err
		}
	}
	return nil
}

// RevViT is PlanModes' name for the two-stream model of the same sizes.
const RevViT = "revvit"

// PlanModes plans cfg as it is and as ordinary back-propagation: the plain
// transformer with stored, or recomputed, activations, and gradients kept to
// the end of the step. A vision transformer is planned as RevViT too.
func PlanModes(cfg Config) (map[string]backend.Usage, error) {
	modes := make(map[string]backend.Usage, 4)
	for _, m := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		u, err := Plan(cfg.WithMemory(m))
		if err != nil {
			return nil, err
		}
		modes[m.String()] = u
	}
	if cfg.Task == TaskImage && !cfg.ViT.TwoStream {
		cfg.ViT.TwoStream, cfg.Method = true, bdia.Options{Memory: bdia.Reversible, Grid: bdia.NoGrid}
		u, err := Plan(cfg)
		if err != nil {
			return nil, err
		}
		modes[RevViT] = u
	}
	return modes, nil
}

// WithMemory returns c in another memory mode, with the method that goes with it.
func (c Config) WithMemory(m bdia.Memory) Config {
	if m == c.Method.Memory {
		return c
	}
	if c.ViT.TwoStream { // has no other method
		c.Method.Memory = m
		return c
	}
	c.Method = bdia.DefaultOptions()
	if m != bdia.Reversible || c.ViT.TwoStream {
		c.Method = bdia.Options{Memory: m, Gamma: 0, Grid: bdia.NoGrid}
	}
	if m != bdia.Reversible {
		c.Loop.Update = WhenEnd
	}
	return c
}

// LargestBatch returns the largest batch, run as one micro-batch, whose plan
// fits into budget bytes in mode m, and that plan: samples, or tokens of pairs. It
// returns 0 where not even a batch of one fits.
func LargestBatch(cfg Config, m bdia.Memory, budget int64) (int, backend.Usage, error) {
	cfg = cfg.WithMemory(m)
	var best backend.Usage
	fits := func(batch int) (bool, error) {
		if cfg.Task.ofPairs() {
			cfg.Pairs.BatchTokens = batch
		} else {
			cfg.Loop.Batch, cfg.Loop.MicroBatch = batch, 0
		}
		u, err := Plan(cfg)
		if err == nil && u.Total <= budget {
			best = u
			return true, nil
		}
		return false, err
	}
	low, high, most := 0, 1, cfg.mostSamples() // low fits, high does not
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
