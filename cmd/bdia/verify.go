package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/verify"
)

// verifyOptions say what is checked.
type verifyOptions struct {
	fault verify.Fault
	drift bool
	json  bool
}

func newVerify() *cobra.Command {
	s := newSettings()
	var o verifyOptions
	var fault string
	var vocab int
	c := &cobra.Command{
		Use:   "verify [RUN]",
		Short: "Check bit for bit that the reverse walk is exact",
		Long: `Run one training pass with stored activations and one reversibly, and compare
every rebuilt state and every gradient bit for bit. With a run directory, its own
weights, text and next gammas are used; otherwise a fresh model of the given size
on random tokens. Exit code 1 if anything differs.

--fault damages something between the forward pass and the reverse walk, to show
that the check can fail. --float shows instead how the error of a reverse walk
without a grid grows from block to block.`,
		Example: `  bdia verify runs/quickstart
  bdia verify --preset nano --batch 4
  bdia verify --layers 48 --width 64 --heads 4 --context 64 --json
  bdia verify --preset nano --fault side-bit      # must fail
  bdia verify --layers 12 --width 128 --heads 4 --context 64 --float`,
		Args: cobra.MaximumNArgs(1),
	}
	f := c.Flags()
	s.modelFlags(f)
	s.methodFlags(f)
	s.batchFlags(f)
	s.engineFlags(f)
	f.IntVar(&vocab, "vocab", 0, "vocabulary (default: the preset's)")
	f.StringVar(&fault, "fault", string(verify.NoFault), "damage to do: none, side-bit, state-bit or weight")
	f.BoolVar(&o.drift, "float", false, "measure the drift without a grid")
	f.BoolVar(&o.json, "json", false, "print JSON")
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		for _, known := range verify.Faults() {
			if string(known) == fault {
				o.fault = known
			}
		}
		if o.fault == "" {
			return usage(fmt.Errorf("unknown fault %q; use none, side-bit, state-bit or weight", fault))
		}
		target, err := verifySubject(cmd, s, args, vocab)
		if err != nil {
			return err
		}
		if o.drift {
			return printDrift(cmd.OutOrStdout(), o.json, target.drift)
		}
		report, err := target.check(o.fault)
		if errors.Is(err, verify.ErrOptions) {
			return usage(err)
		}
		if err != nil {
			return err
		}
		if o.json {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			printReport(cmd.OutOrStdout(), report, true)
		}
		if err == nil && !report.Exact() {
			return errMismatch
		}
		return err
	}
	return c
}

// verifySubject is the run that args name, or the model that the flags describe.
func verifySubject(cmd *cobra.Command, s *settings, args []string, vocab int) (subject, error) {
	if len(args) == 1 {
		r, err := train.Open(args[0])
		if err != nil {
			return subject{}, err
		}
		defer r.Close()
		if r.Config, err = s.resolve(cmd.Flags(), r.Config); err != nil {
			return subject{}, err
		}
		return subjectOfRun(r)
	}
	base := train.DefaultConfig()
	base.Loop.Batch = 4
	cfg, err := s.resolve(cmd.Flags(), base)
	if err != nil {
		return subject{}, err
	}
	if vocab != 0 {
		cfg.Model.Vocab = vocab
	}
	return freshSubject(cfg), usage(cfg.Model.Validate())
}

// printReport prints a report for people, with the hashes of the states if asked.
func printReport(w io.Writer, r *verify.Report, hashes bool) {
	verdict := func(n int64) string {
		if n == 0 {
			return "0"
		}
		return countText(n) + "   <-- must be 0"
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
	fmt.Fprintf(w, "  activations rebuilt         %s\n", countText(r.ReconstructedActivations))
	fmt.Fprintf(w, "    bits that differ          %s\n", verdict(r.MismatchedBits))
	fmt.Fprintf(w, "    values off the grid       %s\n", verdict(r.OffGrid))
	fmt.Fprintf(w, "  gradient values compared    %s\n", countText(r.GradientValues))
	fmt.Fprintf(w, "    bits that differ          %s\n", verdict(r.GradientDifferingBits))
	fmt.Fprintf(w, "  largest |x|                 %.4g (exact below %g)\n", r.MaxAbs, r.MaxAbsLimit)
	if r.Exact() {
		fmt.Fprintln(w, "  Exact: the reverse walk equals stored activations bit for bit.")
	}
}

// printDrift prints the growth of the error without a grid.
func printDrift(w io.Writer, asJSON bool, drift func(func(int, float64)) error) error {
	type point struct {
		K   int     `json:"k"`
		RMS float64 `json:"rms"`
	}
	var points []point
	if err := drift(func(k int, rms float64) { points = append(points, point{k, rms}) }); err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, map[string]any{"drift": points})
	}
	fmt.Fprintln(w, "Error of states solved for in float32, without a grid (root mean square):")
	largest := points[len(points)-1].RMS
	for i, p := range points {
		growth := ""
		if i > 0 && points[i-1].RMS > 0 {
			growth = fmt.Sprintf("x%.2f", p.RMS/points[i-1].RMS)
		}
		bar := 0
		if p.RMS > 0 {
			bar = max(0, 40+int(4*math.Log2(p.RMS/largest)/3))
		}
		fmt.Fprintf(w, "  x_%-4d %.3e  %-6s %s\n", p.K, p.RMS, growth, strings.Repeat("#", bar))
	}
	if n := len(points); n > 1 && points[0].RMS > 0 {
		fmt.Fprintf(w, "Mean growth a block: x%.2f. On a grid the error is 0: run without --float.\n",
			math.Pow(largest/points[0].RMS, 1/float64(n-1)))
	}
	return nil
}

// subject is what is checked: a model, its weights and one batch.
type subject struct {
	cfg   train.Config
	batch model.Batch
	pass  backend.Pass
	fill  func(be backend.Backend, m *model.GPT) error // sets the weights
}

// subjectOfRun is a run's trained model on its next batch.
func subjectOfRun(r *train.Run) (subject, error) {
	if r.State.Step == 0 {
		return subject{}, fmt.Errorf("%s has no checkpoint yet; train it first", r.Dir)
	}
	s := newSubject(r.Config, r.State.Step+1)
	s.fill = func(be backend.Backend, m *model.GPT) error { return train.LoadWeights(be, m, r.Dir) }
	return s, r.Batch(s.pass.Step, s.batch)
}

// freshSubject is a new model on random tokens.
func freshSubject(cfg train.Config) subject {
	s := newSubject(cfg, 1)
	key := rng.Key{Seed: cfg.Loop.Seed, Site: rng.SiteData}
	for i := range s.batch.Inputs {
		w, vocab := key.At(uint32(i)), uint32(cfg.Model.Vocab)
		s.batch.Inputs[i], s.batch.Targets[i] = int32(w[0]%vocab), int32(w[1]%vocab)
	}
	s.fill = func(_ backend.Backend, m *model.GPT) error { m.Init(cfg.Loop.Seed); return nil }
	return s
}

func newSubject(cfg train.Config, step int) subject {
	return subject{cfg: cfg,
		batch: model.NewBatch(cfg.Loop.Batch, cfg.Model.Context),
		pass:  backend.Pass{Train: true, Seed: cfg.Loop.Seed, Step: step}}
}

// check compares the reverse walk with stored activations.
func (s subject) check(fault verify.Fault) (report *verify.Report, err error) {
	c := s.cfg
	u, err := verify.Plan(c.Model, c.Method, c.Loop.Batch, c.Model.Context, cpu.ScratchBytes(c.Engine.Threads))
	if err != nil {
		return nil, err
	}
	err = s.on(u, func(be backend.Backend, m *model.GPT) error {
		report, err = verify.Run(be, m, c.Method, s.batch, s.pass, fault)
		return err
	})
	return report, err
}

// drift measures the error of a reverse walk without a grid.
func (s subject) drift(report func(k int, rms float64)) error {
	c := s.cfg
	u, err := verify.PlanDrift(c.Model, c.Method.Gamma, c.Loop.Batch, c.Model.Context, cpu.ScratchBytes(c.Engine.Threads))
	if err != nil {
		return err
	}
	return s.on(u, func(be backend.Backend, m *model.GPT) error {
		return verify.Drift(be, m, c.Method.Gamma, s.batch, s.pass, report)
	})
}

// on calls f with the model on a CPU backend of the planned size.
func (s subject) on(u backend.Usage, f func(backend.Backend, *model.GPT) error) error {
	be, err := train.NewCPU(s.cfg, u)
	if err != nil {
		return err
	}
	defer be.Close()
	m, err := model.NewGPT(be, s.cfg.Model, bdia.Options{Memory: bdia.Store, Grid: s.cfg.Method.Grid})
	if err != nil {
		return err
	}
	if err := s.fill(be, m); err != nil {
		return err
	}
	return f(be, m)
}
