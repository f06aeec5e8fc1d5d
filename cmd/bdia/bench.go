package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/bench"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	trainimages "github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/text"
)

// benchSizes are the flags of a benchmark's model.
var benchSizes = []struct{ name, usage string }{
	{"layers", "blocks"},
	{"heads", "attention heads"},
	{"width", "channels of the residual stream"},
	{"mlp", "hidden width of the MLP; 0 for four times the width"},
	{"batch", "samples of a step"},
	{"seq", "gpt: tokens of a sample"},
	{"vocab", "gpt: vocabulary"},
	{"image", "vit: pixels of an image's side"},
	{"patch", "vit: pixels of a patch's side"},
	{"classes", "vit: classes"},
}

func newBench() *cobra.Command {
	var engine backend.Options
	var architecture, memory string
	var steps int
	var asJSON bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the machine, the kernels and whole training steps",
		Long: `Measure what this machine can do at most (fused multiply-adds, copying memory),
hold every kernel against that, and time whole training steps, broken down by
operation. With --memory, time the steps of that mode only.

A step is the ordinary transformer in the modes store and recompute; reversible
is gamma 0.5 on a grid of 2^-9 with updates in the reverse walk. The optimiser is
AdamW. Tokens and images are random. The models are gpt, of the preset nano where
no sizes are given, vit, of the preset vit-paper, and revvit, which is vit with two
residual streams inverted in floating point.`,
		Example: `  bdia bench
  bdia bench --memory reversible --json
  bdia bench --layers 12 --heads 12 --width 768 --seq 512 --batch 4 --vocab 50257 --memory store
  bdia bench --model vit --layers 6 --heads 8 --width 512 --mlp 512 --batch 128`,
		Args: cli.Arguments(0, 0, ""),
	}
	cli.Group(c, "Model", func(f *pflag.FlagSet) {
		f.StringVar(&architecture, "model", "gpt", "`architecture`: gpt, vit or revvit")
		for _, s := range benchSizes {
			f.Int(s.name, 0, s.usage)
		}
	})
	cli.Group(c, "Other", func(f *pflag.FlagSet) {
		f.StringVar(&memory, "memory", "", "time only this `mode`: reversible, store or recompute")
		f.IntVar(&steps, "steps", 5, "timed steps; the median counts")
		engineFlags(f, &engine)
		f.BoolVar(&asJSON, "json", false, "print JSON")
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := benchConfig(cmd.Flags(), architecture)
		if err != nil {
			return cli.Usage(err)
		}
		cfg.Engine = engine
		if steps < 1 {
			return cli.Usage(fmt.Errorf("--steps %d; time at least one", steps))
		}
		if err := cfg.Validate(); err != nil {
			return cli.Usage(err)
		}
		if err := checkEngine(cfg.Engine); err != nil {
			return err
		}
		ctx, w := cmd.Context(), cmd.OutOrStdout()
		if memory == "" {
			return benchAll(ctx, w, cfg, steps, asJSON)
		}
		mode, err := bdia.ParseMemory(memory)
		if err != nil {
			return cli.Usage(err)
		}
		step, err := bench.TimeStep(ctx, train.WithMemory(cfg.task(), mode), steps)
		if err != nil {
			return err
		}
		machine, err := measure(cfg)
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
	return c
}

// benchConfig is a training run of the given architecture, with the sizes that
// were given as flags.
func benchConfig(f *pflag.FlagSet, architecture string) (config, error) {
	cfg := defaults(text.Name)
	g := &cfg.Model
	fields := map[string]*int{"layers": &g.Layers, "heads": &g.Heads, "width": &g.Width, "mlp": &g.MLP, "seq": &g.Context, "vocab": &g.Vocab}
	switch architecture {
	case "gpt":
	case "vit", "revvit":
		cfg = defaults(trainimages.Name)
		cfg.ViT, _ = model.ViTPreset("vit-paper")
		v := &cfg.ViT
		fields = map[string]*int{"layers": &v.Layers, "heads": &v.Heads, "width": &v.Width, "mlp": &v.MLP, "image": &v.Image, "patch": &v.Patch, "classes": &v.Classes}
		if architecture == "revvit" {
			v.TwoStream, cfg.Method = true, bdia.Options{Memory: bdia.Reversible, Gamma: 0, Grid: bdia.NoGrid}
		}
	default:
		return cfg, fmt.Errorf("--model %q; use gpt, vit or revvit", architecture)
	}
	fields["batch"] = &cfg.Loop.Batch
	for _, s := range benchSizes {
		if !f.Changed(s.name) {
			continue
		}
		if fields[s.name] == nil {
			return cfg, fmt.Errorf("--%s is not a size of %s", s.name, architecture)
		}
		*fields[s.name], _ = f.GetInt(s.name)
	}
	return cfg, nil
}

// measure measures the machine with the threads and instruction set of cfg.
func measure(cfg config) (bench.Machine, error) {
	m, err := bench.MeasureMachine(cfg.Engine)
	return m, cli.Usage(err)
}

// benchAll measures kernels and the steps of every mode.
func benchAll(ctx context.Context, w io.Writer, cfg config, steps int, asJSON bool) error {
	machine, err := measure(cfg)
	if err != nil {
		return err
	}
	report := func(k bench.Kernel) { printKernel(w, k) }
	if asJSON {
		report = nil
	} else {
		fmt.Fprintf(w, "%s, %d threads: %.0f GFLOP/s of fused multiply-adds, %.1f GB/s copied\n\n", machine.ISA, machine.Threads, machine.GFLOPS, machine.Bandwidth)
		fmt.Fprintf(w, "  %-22s %-26s %10s %12s %10s\n", "kernel", "shape", "time", "rate", "of limit")
	}
	kernels, err := bench.MeasureKernels(machine, report)
	if err != nil {
		return err
	}
	var all []bench.Step
	for _, mode := range modes {
		step, err := bench.TimeStep(ctx, train.WithMemory(cfg.task(), mode), steps)
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
	fmt.Fprintf(w, "\n%s: %.3f s a step, %s %s/s, %.0f%% of the FMA peak; arena %s, process %.0f MiB\n",
		s.Memory, s.SecondsPerStep, cli.Count(int64(speed)), unit, 100*s.Utilisation, cli.Bytes(s.PeakArenaBytes), s.PeakRSSMB)
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
			share = gflops / machine.GFLOPS
		} else {
			share = gbps / machine.Bandwidth
		}
		fmt.Fprintf(w, "  %-22s %8d %7.2f ms %6.1f%% %s\n", op.Name, op.Calls/s.Steps, 1e3*seconds, 100*seconds/s.SecondsPerStep, rate(gflops, gbps, share))
	}
	fmt.Fprintf(w, "  %-22s %8s %7.2f ms %6.1f%%\n", "the others", "", 1e3*other, 100*other/s.SecondsPerStep)
}
