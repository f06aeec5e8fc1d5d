package backend_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/tensor"
)

// TestFit checks the order of Fit's calls, and that the device's arena holds build and
// rehearsal to the byte.
func TestFit(t *testing.T) {
	t.Parallel()
	o := backend.Options{Threads: 2, ISA: "portable"}
	var be backend.Backend
	var kept tensor.Tensor
	builds := 0
	use := func(n int) {
		m := be.Mark()
		be.Alloc(backend.Activation, tensor.F32, tensor.Shape{n})
		be.Release(m)
	}
	d, err := backend.Fit(o, func(b backend.Backend) error {
		be, kept = b, b.Alloc(backend.Weights, tensor.F32, tensor.Shape{3})
		builds++
		return nil
	}, func() error {
		use(100)
		use(1000)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if be != backend.Backend(d) || builds != 2 {
		t.Errorf("built %d times, last on %T; want on a plan and then on the device", builds, be)
	}
	if got := d.Name(); got != "cpu (portable, 2 threads)" {
		t.Errorf("Name: %q", got)
	}
	be.Upload(kept, []float32{1, 2, 3})
	host := make([]float32, 3)
	if be.Download(host, kept); !slices.Equal(host, []float32{1, 2, 3}) {
		t.Errorf("the device's memory holds %v", host)
	}
	use(1000)
	defer func() {
		if recover() == nil {
			t.Error("the arena is larger than the rehearsal")
		}
	}()
	use(1017) // one line of 64 bytes more
}

// TestFitFails checks that the first error ends Fit.
func TestFitFails(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong")
	fine := func(backend.Backend) error { return nil }
	for name, c := range map[string]struct {
		o        backend.Options
		build    func(backend.Backend) error
		rehearse func() error
		want     string
	}{
		"device":   {backend.Options{Device: "abacus"}, fine, nil, `unknown device "abacus"; use cpu`},
		"threads":  {backend.Options{Threads: -1}, fine, nil, "-1 threads"},
		"isa":      {backend.Options{ISA: "mmx"}, fine, nil, "mmx"},
		"build":    {backend.Options{}, func(backend.Backend) error { return wrong }, nil, "wrong"},
		"rehearse": {backend.Options{}, fine, func() error { return wrong }, "wrong"},
		"too large": {backend.Options{}, func(be backend.Backend) error {
			be.Alloc(backend.Weights, tensor.F32, tensor.Shape{1 << 20, 1 << 20})
			return nil
		}, nil, "memory"},
	} {
		if d, err := backend.Fit(c.o, c.build, c.rehearse); err == nil || !strings.Contains(err.Error(), c.want) || d != nil {
			t.Errorf("%s: %v, %v; want an error about %q", name, d, err, c.want)
		}
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	if got := backend.Devices(); !slices.Equal(got, []string{"cpu"}) {
		t.Errorf("devices %q", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second driver for cpu")
		}
	}()
	backend.Register("cpu", nil)
}
