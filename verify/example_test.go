package verify_test

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/verify"
)

// A pass with stored activations and a reversible one agree in every bit. With one bit of the side information turned
// over they do not, so the check can fail.
func ExampleCheck() {
	c := model.GPTConfig{Vocab: 11, Context: 8, Layers: 4, Heads: 2, Width: 16}
	check := verify.Check{Method: bdia.DefaultOptions(), Pass: backend.Pass{Seed: 1, Step: 1},
		Make: func(be backend.Backend) (verify.Subject, func() error, error) {
			m, err := model.NewGPT(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.DefaultGrid})
			if err != nil {
				return verify.Subject{}, nil, err
			}
			initial := func() error { m.Init(1); return nil }
			return verify.OfGPT(m, model.NewBatch(2, c.Context)), initial, nil
		}}
	for _, fault := range []verify.Fault{verify.NoFault, verify.SideBit} {
		report, err := check.Run(fault)
		fmt.Println(fault, report.Exact(), err)
	}
	// Output:
	// none true <nil>
	// side-bit false <nil>
}
