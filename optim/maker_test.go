package optim_test

import (
	"testing"

	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// TestMakers: the type of an optimiser and its named choice take the same steps.
func TestMakers(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]optim.Maker{"adamw": optim.DefaultAdamW(), "set-adam": optim.DefaultSETAdam(), "sgd": optim.DefaultSGD()} {
		be := newCPU(t)
		own, named := param(be, "w", 1, 2, 3), param(be, "w", 1, 2, 3)
		a, err := m.New(be, []*tensor.Param{own})
		if err != nil {
			t.Fatal(err)
		}
		b := newOptimizer(t, be, defaults(t, name), named)
		for step := 1; step <= 3; step++ {
			for _, p := range []*tensor.Param{own, named} {
				be.Upload(p.Grad, []float32{.1 * float32(step), -.2, 0})
			}
			a.Update([]*tensor.Param{own}, step, 0.01)
			b.Update([]*tensor.Param{named}, step, 0.01)
		}
		near(t, name, values(be, own.Value), 0, values(be, named.Value)...)
		if got := a.(optim.Described).Describe()["optimizer"]; got != name {
			t.Errorf("%s describes itself as %q", name, got)
		}
	}
	if _, err := (optim.AdamW{}).New(newCPU(t), nil); err == nil {
		t.Error("AdamW without constants is made")
	}
}
