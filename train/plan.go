package train

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
)

// Plan returns the peak memory of a run of t, to the byte: it runs the code of a step, one evaluation and one sample on
// the planning backend. Pairs are assumed to be as long on both sides, and of the length that takes the most (see
// Run.Plan). Open settings are taken as Assume closes them.
func Plan(t Synthetic) (backend.Usage, error) {
	t = t.Clone()
	Assume(t)
	return PlanOf(func(be backend.Backend) (Learner, error) {
		if err := t.Validate(); err != nil {
			return nil, err
		}
		return t.Blank(be)
	}, Options{Common: *t.Common()})
}

// Plan returns the peak memory of the run, to the byte. The data are open.
func (r *Run) Plan() (backend.Usage, error) { return PlanOf(r.learner, r.options()) }

// learner makes the run's Learner on be.
func (r *Run) learner(be backend.Backend) (Learner, error) {
	if err := r.Task.Validate(); err != nil {
		return nil, err
	}
	return r.Task.Learner(be)
}

// PlanOf returns the peak memory of a run of your own Learner, to the byte (see Start).
func PlanOf(build func(be backend.Backend) (Learner, error), o Options) (backend.Usage, error) {
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

// rehearse runs what takes memory: the largest steps, and what a run does beside them.
func (s *Session) rehearse() error {
	s.rehearsing = true
	defer func() { s.rehearsing = false }()
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
	return rehearse(s.Learner)
}

// rehearse runs what a learner does beside steps, as far as it can be rehearsed.
func rehearse(l Learner) error {
	for _, r := range abilities[Rehearser](l) {
		if err := r.Rehearse(); err != nil {
			return err
		}
	}
	return nil
}

// Variants is a Synthetic that PlanModes compares with other models of its sizes.
type Variants interface {
	// Variants returns the other models by name.
	Variants() map[string]Synthetic
}

// PlanModes plans t as it is and as ordinary back-propagation: the plain transformer with stored, or recomputed,
// activations, and gradients kept to the end of the step. It plans the Variants of t too.
func PlanModes(t Synthetic) (map[string]backend.Usage, error) {
	all := map[string]Synthetic{}
	for _, m := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		all[m.String()] = WithMemory(t, m)
	}
	if v, ok := t.(Variants); ok {
		for name, other := range v.Variants() {
			all[name] = other
		}
	}
	modes := make(map[string]backend.Usage, len(all))
	for name, one := range all {
		u, err := Plan(one)
		if err != nil {
			return nil, err
		}
		modes[name] = u
	}
	return modes, nil
}

// WithMemory returns t in another memory mode, with the method that goes with it, and without data.
func WithMemory(t Synthetic, m bdia.Memory) Synthetic {
	t = t.Clone()
	c := t.Common()
	if m == c.Method.Memory {
		return t
	}
	if own, ok := t.(MemoryModer); ok {
		own.SetMemory(m)
		return t
	}
	c.SetMemory(m)
	return t
}

// SetMemory changes the memory mode, and the method and the updates with it: reversible is BDIA, the others are the
// ordinary transformer, updated at the end of a step.
func (c *Common) SetMemory(m bdia.Memory) {
	c.Method = bdia.DefaultOptions()
	if m != bdia.Reversible {
		c.Method = bdia.Options{Memory: m, Gamma: 0, Grid: bdia.NoGrid}
		c.Loop.Update = WhenEnd
	}
}

// LargestBatch returns the largest batch, run as one micro-batch, that fits into budget bytes in mode m, and its plan:
// samples, or tokens of pairs. It returns 0 if not even a batch of one fits.
func LargestBatch(t Synthetic, m bdia.Memory, budget int64) (int, backend.Usage, error) {
	t = WithMemory(t, m)
	var best backend.Usage
	fits := func(batch int) (bool, error) {
		t.SetBatch(batch)
		u, err := Plan(t)
		if err == nil && u.Total <= budget {
			best = u
			return true, nil
		}
		return false, err
	}
	low, high, most := 0, 1, t.MostBatch() // low fits, high does not
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
