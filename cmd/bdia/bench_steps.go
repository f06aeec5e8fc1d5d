package main

import (
	"context"
	"fmt"
	"io"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/bench"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// measure measures the machine with the threads and instruction set of e.
func measure(ctx context.Context, e backend.Options) (bench.Machine, error) {
	return cli.AtOnce(ctx, func() (bench.Machine, error) {
		m, err := bench.MeasureMachine(e)
		return m, cli.Usage(err)
	})
}

// timeStep times steps of t, until ctx is done.
func timeStep(ctx context.Context, t train.Synthetic, steps int) (bench.Step, error) {
	return cli.AtOnce(ctx, func() (bench.Step, error) { return bench.TimeStep(ctx, t, steps) })
}

// benchMode measures the steps of t as it is.
func benchMode(ctx context.Context, w io.Writer, t train.Synthetic, steps int, asJSON bool) error {
	step, err := timeStep(ctx, t, steps)
	if err != nil {
		return err
	}
	machine, err := measure(ctx, t.Common().Engine)
	if err != nil {
		return err
	}
	step.Against(machine)
	if asJSON {
		return cli.PrintJSON(w, step)
	}
	printStep(w, step, machine)
	return nil
}

// benchAll measures kernels and the steps of every mode.
func benchAll(ctx context.Context, w io.Writer, t train.Synthetic, steps int, asJSON bool) error {
	machine, err := measure(ctx, t.Common().Engine)
	if err != nil {
		return err
	}
	report := func(k bench.Kernel) { printKernel(w, k) }
	if asJSON {
		report = nil
	} else {
		fmt.Fprintf(w, "%s, %d threads: %.0f GFLOP/s of fused multiply-adds, %.0f of %s products, %.1f GB/s copied\n\n", machine.ISA, machine.Threads, machine.GFLOPS, machine.Products, machine.Precision, machine.Bandwidth)
		fmt.Fprintf(w, "  %-22s %-26s %10s %12s %10s\n", "kernel", "shape", "time", "rate", "of limit")
	}
	kernels, err := cli.AtOnce(ctx, func() ([]bench.Kernel, error) { return bench.MeasureKernels(ctx, machine, report) })
	if err != nil {
		return err
	}
	var all []bench.Step
	for _, mode := range modes {
		step, err := timeStep(ctx, train.WithMemory(t, mode), steps)
		if err != nil {
			return err
		}
		step.Against(machine)
		all = append(all, step)
		if !asJSON {
			printStep(w, step, machine)
		}
	}
	if asJSON {
		return cli.PrintJSON(w, map[string]any{"machine": machine, "kernels": kernels, "steps": all})
	}
	return nil
}
