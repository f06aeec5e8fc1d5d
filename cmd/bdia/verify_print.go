package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/verify"
)

// printReport prints a report for people, with the hashes of the states if asked.
func printReport(w io.Writer, r *verify.Report, hashes bool) {
	verdict := func(n int64) string {
		if n == 0 {
			return "0"
		}
		return cli.Count(n) + "   <-- must be 0"
	}
	if hashes {
		fmt.Fprintln(w, "  state   forward            rebuilt")
		for _, s := range r.States {
			rebuilt := s.Reverse
			if rebuilt == "" {
				rebuilt = "(kept)"
			}
			fmt.Fprintf(w, "  x_%-4d  %s   %s\n", s.K, s.Forward, rebuilt)
		}
	}
	fmt.Fprintf(w, "  activations rebuilt         %s\n", cli.Count(r.ReconstructedActivations))
	fmt.Fprintf(w, "    bits that differ          %s\n", verdict(r.MismatchedBits))
	fmt.Fprintf(w, "    values off the grid       %s\n", verdict(r.OffGrid))
	fmt.Fprintf(w, "  gradient values compared    %s\n", cli.Count(r.GradientValues))
	fmt.Fprintf(w, "    bits that differ          %s\n", verdict(r.GradientDifferingBits))
	fmt.Fprintf(w, "  largest |x|                 %.4g (exact below %.0f)\n", r.MaxAbs, r.MaxAbsLimit)
	switch {
	case r.ReconstructedActivations == 0:
		fmt.Fprintln(w, "  Nothing had to be rebuilt: the last two states are kept, so it takes 3 blocks or more.")
	case r.Exact():
		fmt.Fprintln(w, "  Exact: the reverse walk equals stored activations bit for bit.")
	}
}

// driftPoint is the error of a state, or of the streams before a pair.
type driftPoint struct {
	K            int
	RMS, Largest float64
}

// MarshalJSON writes errors past any number, of deep stacks, as null.
func (p driftPoint) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"k": p.K, "rms": cli.Number(p.RMS), "largest": cli.Number(p.Largest)})
}

// printRevViT puts RevViT's error, at its input, beside our zero.
func printRevViT(w io.Writer, points []driftPoint) {
	if n := len(points); n > 0 {
		p := points[n-1]
		fmt.Fprintf(w, "  RevViT of these weights rebuilds its input off by %.2e (root mean square), %.2e at most.\n", p.RMS, p.Largest)
	}
}

// printDrift prints the growth of the error without a grid.
func printDrift(w io.Writer, asJSON bool, target subject, points []driftPoint) error {
	if asJSON {
		return cli.PrintJSON(w, map[string]any{"drift": points})
	}
	name := "x_"
	if target.twoStream {
		name = "pair "
		fmt.Fprintln(w, "RevViT rebuilds its two streams in floating point; nothing makes them exact.")
	}
	fmt.Fprintln(w, "Error of states solved for in float32, without a grid (root mean square):")
	n := 1 // points before the error leaves every range
	for n < len(points) && cli.Number(points[n].RMS) != nil {
		n++
	}
	first, last := points[0].RMS, points[n-1].RMS
	before := math.NaN()
	for _, p := range points {
		growth := ""
		if before > 0 && cli.Number(p.RMS) != nil {
			growth = fmt.Sprintf("x%.2f", p.RMS/before)
		}
		fmt.Fprintf(w, "  %s%-4d %.3e  %-6s %s\n", name, p.K, p.RMS, growth, driftBar(p.RMS, last))
		before = p.RMS
	}
	if n > 1 && first > 0 {
		fmt.Fprintf(w, "Mean growth a block: x%.2f.", math.Pow(last/first, 1/float64(n-1)))
		if !target.twoStream {
			fmt.Fprint(w, " On a grid the error is 0: run without --float.")
		}
		fmt.Fprintln(w)
	}
	return nil
}

// driftBar is a bar on a logarithmic scale: 40 columns for the largest error,
// three columns less for a quarter of it.
func driftBar(rms, largest float64) string {
	if !(rms > 0) || !(largest > 0) {
		return ""
	}
	columns := 40 + int(1.5*math.Log2(rms/largest))
	return strings.Repeat("#", min(max(columns, 1), 60))
}
