package verify

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
)

// Check is a model to check on a device of its own, which is opened for one check with as much memory as the plan says.
// For example, of a language model that is stored in a folder:
//
//	c := verify.Check{Method: bdia.DefaultOptions(), Pass: backend.Pass{Seed: 1, Step: 1}, Make: func(be backend.Backend) (verify.Subject, func() error, error) {
//		m, err := folder.NewGPT(be, bdia.Options{Memory: bdia.Store, Grid: bdia.DefaultGrid})
//		if err != nil {
//			return verify.Subject{}, nil, err
//		}
//		return verify.OfGPT(m, batch), func() error { return hub.LoadGPT(be, m, folder.Weights) }, nil
//	}}
//	report, err := c.Run(verify.NoFault)
type Check struct {
	Method bdia.Options
	Device backend.Options
	Pass   backend.Pass // seed and step
	// Make allocates the model on be, in any memory mode. The function load then gives it its weights; it is not called
	// on a plan.
	Make func(be backend.Backend) (s Subject, load func() error, err error)
}

// Run compares the reverse walk with stored activations (see the function Run).
func (c Check) Run(fault Fault) (r *Report, err error) {
	if c.Make == nil {
		return nil, fmt.Errorf("verify: %w: a Check without Make", ErrOptions)
	}
	u, err := Plan(c.blank, c.Method, c.Device)
	if err != nil {
		return nil, err
	}
	err = c.on(u, func(be backend.Backend, s Subject) error {
		r, err = Run(be, s, c.Method, c.Pass, fault)
		return err
	})
	return r, err
}

// Drift reports how the error of a reverse walk without a grid grows (see the function Drift).
func (c Check) Drift(report func(k int, rms, largest float64)) error {
	if c.Make == nil {
		return fmt.Errorf("verify: %w: a Check without Make", ErrOptions)
	}
	u, err := PlanDrift(c.blank, c.Method.Gamma, c.Device)
	if err != nil {
		return err
	}
	return c.on(u, func(_ backend.Backend, s Subject) error {
		return Drift(s, c.Method.Gamma, c.Pass, report)
	})
}

// blank makes the model without weights.
func (c Check) blank(be backend.Backend) (Subject, error) {
	s, _, err := c.Make(be)
	return s, err
}

// on calls f with the model on a device of the planned size.
func (c Check) on(u backend.Usage, f func(backend.Backend, Subject) error) error {
	be, err := backend.Open(c.Device, u.Total)
	if err != nil {
		return err
	}
	defer be.Close()
	s, load, err := c.Make(be)
	if err != nil {
		return err
	}
	if err := load(); err != nil {
		return err
	}
	return f(be, s)
}
