package convert_test

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/model"
)

// The weights of a folder are read by the names that Hugging Face's GPT-2 has for them. Package hub does all of this in
// one call.
func ExampleReadGPT() {
	const dir = "../train/testdata/oldruns/base"
	c, err := convert.ReadGPTConfig(dir + "/config.json")
	if err != nil {
		panic(err)
	}
	weights, err := convert.OpenWeights(dir)
	if err != nil {
		panic(err)
	}
	defer weights.Close()
	info, _ := weights.Info("h.0.attn.c_attn.weight")
	fmt.Println(len(weights.Names()), "tensors;", info.Name, info.DType, info.Shape)
	var m *model.GPT
	be, err := backend.Fit(backend.Options{}, func(be backend.Backend) (err error) {
		m, err = model.NewGPT(be, c, bdia.DefaultOptions())
		return err
	}, nil)
	if err != nil {
		panic(err)
	}
	defer be.Close()
	fmt.Println(convert.ReadGPT(be, m, weights))
	// Output:
	// 28 tensors; h.0.attn.c_attn.weight F32 [16 48]
	// <nil>
}
