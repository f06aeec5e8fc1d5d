package main

import (
	"fmt"
	"io"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/tensor"
)

// noteSpeed prints the note of o, if there is one.
func noteSpeed(w io.Writer, o backend.Options) {
	if note := speedNote(o); note != "" {
		fmt.Fprintln(w, "Note:", note)
	}
}

// speedNote says in a line what bf16 costs on a processor without a unit for its products; empty: it has one, or
// float32 is used.
func speedNote(o backend.Options) string {
	if o.Precision != backend.BFloat16 {
		return ""
	}
	level := cpufeat.Best()
	if o.ISA != "" {
		var err error
		if level, err = cpufeat.Parse(o.ISA); err != nil {
			return "" // which is told when the device is opened
		}
	}
	switch level {
	case cpufeat.Portable:
		return fmt.Sprintf("products of bf16 are computed in portable Go here, slowly: they take %s.", slowness(o))
	case cpufeat.AVX2, cpufeat.AVX512:
		if why := cpufeat.WithoutAMX(); why != "" && o.ISA == "" {
			return fmt.Sprintf("AMX is not used (%s): products of bf16 are exact on %s, and no faster than float32.", why, level)
		}
		return fmt.Sprintf("products of bf16 are exact on %s, and no faster than float32: that takes a processor with AMX.", level)
	}
	return ""
}

// slowness compares the times of a small product in both precisions.
func slowness(o backend.Options) string {
	bf16, err := timeProduct(o)
	o.Precision = backend.Float32
	float, other := timeProduct(o)
	if err != nil || other != nil {
		return "longer than products of float32"
	}
	return fmt.Sprintf("%.2g times as long as products of float32", float64(bf16)/float64(float))
}

// timeProduct times a product of 32 rows and a square matrix of width 128.
func timeProduct(o backend.Options) (time.Duration, error) {
	const rows, width = 32, 128
	var on backend.Backend
	var x, y, w tensor.Tensor
	multiply := func() error { on.Linear(y, x, w, tensor.Tensor{}); return nil }
	be, err := backend.Fit(o, func(be backend.Backend) error {
		on = be
		y, x = be.Alloc(backend.Activation, tensor.F32, tensor.Shape{rows, width}), be.Alloc(backend.Activation, tensor.F32, tensor.Shape{rows, width})
		w = be.Alloc(backend.Weights, tensor.F32, tensor.Shape{width, width})
		return nil
	}, multiply)
	if err != nil {
		return 0, err
	}
	defer be.Close()
	values := make([]float32, width*width)
	for i := range values {
		values[i] = float32(i%7) - 3.25
	}
	be.Upload(x, values[:rows*width])
	be.Upload(w, values)
	best := time.Hour
	for range 3 {
		began := time.Now()
		multiply()
		be.Sync()
		best = min(best, time.Since(began))
	}
	return best, nil
}
