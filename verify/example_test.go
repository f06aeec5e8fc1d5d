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
func ExampleRun() {
	c := model.GPTConfig{Vocab: 11, Context: 8, Layers: 4, Heads: 2, Width: 16}
	var m *model.GPT
	fresh := func(be backend.Backend) (s verify.Subject, err error) {
		m, err = model.NewGPT(be, c, bdia.DefaultOptions())
		return verify.OfGPT(m, model.NewBatch(2, c.Context)), err
	}
	peak, err := verify.Plan(fresh, bdia.DefaultOptions(), backend.Options{})
	if err != nil {
		panic(err)
	}
	be, err := backend.Open(backend.Options{}, peak.Total)
	if err != nil {
		panic(err)
	}
	defer be.Close()
	subject, err := fresh(be)
	if err != nil {
		panic(err)
	}
	m.Init(1)
	pass := backend.Pass{Train: true, Seed: 1, Step: 1}
	for _, fault := range []verify.Fault{verify.NoFault, verify.SideBit} {
		report, err := verify.Run(be, subject, bdia.DefaultOptions(), pass, fault)
		fmt.Println(fault, report.Exact(), err)
	}
	// Output:
	// none true <nil>
	// side-bit false <nil>
}
