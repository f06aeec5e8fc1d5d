package main

import (
	"fmt"
	"io"

	"github.com/bdia-go/bdia/bench"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// rate formats a rate and its share of the machine's limit.
func rate(gflops, gbps, share float64) string {
	text := fmt.Sprintf("%6.1f GB/s", gbps)
	if gflops > 0 {
		text = fmt.Sprintf("%6.1f GF/s", gflops)
	}
	return fmt.Sprintf("%12s %9.0f%%", text, 100*share)
}

func printKernel(w io.Writer, k bench.Kernel) {
	fmt.Fprintf(w, "  %-22s %-26s %7.2f ms %s\n", k.Name, k.Shape, 1e3*k.Seconds, rate(k.GFLOPS, k.GBps, k.Share))
}

// printStep prints a step and its operations, the longest first.
func printStep(w io.Writer, s bench.Step, machine bench.Machine) {
	speed, unit := s.TokensPerSecond, "tokens"
	if s.ImagesPerSecond > 0 {
		speed, unit = s.ImagesPerSecond, "images"
	}
	fmt.Fprintf(w, "\n%s: %.3f s a step, %s %s/s, %.0f%% of the peak of %s products; arena %s, process %.0f MiB\n",
		s.Memory, s.SecondsPerStep, cli.Count(int64(speed)), unit, 100*s.Utilisation, s.Precision, cli.Bytes(s.PeakArenaBytes), s.PeakRSSMB)
	fmt.Fprintf(w, "  %-22s %8s %10s %7s %12s %10s\n", "operation", "calls", "time", "share", "rate", "of limit")
	var other float64
	for _, op := range s.Operations {
		seconds := op.Seconds / float64(s.Steps)
		if seconds < 0.005*s.SecondsPerStep {
			other += seconds
			continue
		}
		gflops, gbps, share := 0.0, float64(op.Bytes)/op.Seconds/1e9, 0.0
		if op.MatrixFLOPs > 0 {
			gflops = float64(op.MatrixFLOPs) / op.Seconds / 1e9
			share = gflops / machine.Products
		} else {
			share = gbps / machine.Bandwidth
		}
		fmt.Fprintf(w, "  %-22s %8d %7.2f ms %6.1f%% %s\n", op.Name, op.Calls/s.Steps, 1e3*seconds, 100*seconds/s.SecondsPerStep, rate(gflops, gbps, share))
	}
	fmt.Fprintf(w, "  %-22s %8s %7.2f ms %6.1f%%\n", "the others", "", 1e3*other, 100*other/s.SecondsPerStep)
}
