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
		return "products of bf16 are computed in portable Go here, which is slow" + portableSpeed(o) + "."
	case cpufeat.AVX2, cpufeat.AVX512:
		if why := cpufeat.WithoutAMX(); why != "" && o.ISA == "" {
			return fmt.Sprintf("AMX is not used (%s): products of bf16 are exact on %s, and no faster than float32.", why, level)
		}
		return fmt.Sprintf("products of bf16 are exact on %s, and no faster than float32: that takes a processor with AMX.", level)
	}
	return ""
}

// portableSpeed measures small products in both precisions.
func portableSpeed(o backend.Options) string {
	bf16, err := speedOfProduct(o)
	o.Precision = backend.Float32
	float, other := speedOfProduct(o)
	if err != nil || other != nil {
		return ""
	}
	return fmt.Sprintf(": %.2g GFLOP/s, and %.2g in float32", bf16/1e9, float/1e9)
}

// speedOfProduct is how many operations a second a product of 32 rows and a square matrix of width 128 does.
func speedOfProduct(o backend.Options) (float64, error) {
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
	return 2 * rows * width * width / best.Seconds(), nil
}
