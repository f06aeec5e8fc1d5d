package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/verify"
)

func newVerify() *cobra.Command {
	s := newSettings()
	fresh := func(task string) config {
		c := defaults(task)
		if task == trainpairs.Name {
			c.Pairs.BatchTokens = 512
			return c
		}
		c.Loop.Batch = 4
		return c
	}
	s.cfg = fresh(s.cfg.Task)
	var fault string
	var drift, encoder, asJSON bool
	c := &cobra.Command{
		Use:   "verify [RUN]",
		Short: "Check bit for bit that the reverse walk is exact",
		Long: `Run one training pass with stored activations and one reversibly, and compare
every rebuilt state and every gradient bit for bit. With a run directory, its own
weights, text, micro-batch size and next gammas are used; otherwise a fresh
model of the given size on random tokens or, with --task image, images. Exit code
1 if anything differs. Of an encoder-decoder (--task translation) the states are
those of the decoder, or with --encoder of the encoder; the gradients are all.

Beside a vision transformer, the error is printed with which RevViT, reversible
in floating point only, rebuilds the input of the same blocks.

--fault damages something between the forward pass and the reverse walk, to show
that the check can fail. --float shows instead how the error of a reverse walk
without a grid grows from block to block.`,
		Example: `  bdia verify runs/quickstart
  bdia verify --preset nano --batch 4
  bdia verify --task image --preset vit-paper
  bdia verify --task translation --encoder
  bdia verify --layers 48 --width 64 --heads 4 --context 64 --json
  bdia verify --preset nano --fault side-bit      # must fail
  bdia verify --layers 12 --width 128 --heads 4 --context 64 --float`,
		Args: cli.Arguments(0, 1, "one run directory"),
	}
	cli.Group(c, "Check", func(f *pflag.FlagSet) {
		f.StringVar(&fault, "fault", string(verify.NoFault), "`damage` to do: "+strings.Join(faultNames(), ", "))
		f.BoolVar(&drift, "float", false, "measure the drift without a grid")
		s.of(f, []string{trainpairs.Name}, func(f *pflag.FlagSet) {
			f.BoolVar(&encoder, "encoder", false, "translation: check the encoder's states, not the decoder's")
		})
		f.BoolVar(&asJSON, "json", false, "print JSON")
	})
	cli.Group(c, "Model, where no run is named", func(f *pflag.FlagSet) { s.taskFlag(f); s.modelFlags(f); s.sizeFlags(f) })
	cli.Group(c, "Method", s.methodFlags)
	cli.Group(c, "Other", func(f *pflag.FlagSet) {
		s.batchFlags(f)
		s.seedFlag(f)
		engineFlags(f, &s.cfg.Engine)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(faultNames(), fault) {
			return cli.Usage(fmt.Errorf("unknown fault %q; use %s", fault, strings.Join(faultNames(), ", ")))
		}
		target, err := verifySubject(cmd, s, fresh, args, encoder)
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		if drift || target.cfg.ViT.TwoStream {
			return printDrift(w, asJSON, target)
		}
		report, err := target.check(verify.Fault(fault))
		if err != nil {
			return err
		}
		var beside []driftPoint // what RevViT's inverse does to the same model
		if target.cfg.Task == trainimages.Name {
			if beside, err = target.twoStream().points(); err != nil {
				return err
			}
		}
		if asJSON {
			err = cli.PrintJSON(w, struct {
				*verify.Report
				RevViT []driftPoint `json:"revvit_drift,omitempty"`
			}{report, beside})
		} else {
			printReport(w, report, true)
			printRevViT(w, beside)
		}
		if err == nil && !report.Exact() {
			return errMismatch
		}
		return err
	}
	return c
}

// faultNames lists the kinds of damage.
func faultNames() []string {
	var names []string
	for _, f := range verify.Faults() {
		names = append(names, string(f))
	}
	return names
}

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

// points measures the errors of a reverse walk without a grid.
func (s subject) points() (list []driftPoint, err error) {
	err = s.drift(func(k int, rms, largest float64) { list = append(list, driftPoint{k, rms, largest}) })
	return list, err
}

// printRevViT puts RevViT's error, at its input, beside our zero.
func printRevViT(w io.Writer, points []driftPoint) {
	if n := len(points); n > 0 {
		p := points[n-1]
		fmt.Fprintf(w, "  RevViT of these weights rebuilds its input off by %.2e (root mean square), %.2e at most.\n", p.RMS, p.Largest)
	}
}

// printDrift prints the growth of the error without a grid.
func printDrift(w io.Writer, asJSON bool, target subject) error {
	points, err := target.points()
	if err != nil {
		return err
	}
	if asJSON {
		return cli.PrintJSON(w, map[string]any{"drift": points})
	}
	name := "x_"
	if target.cfg.ViT.TwoStream {
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
		if !target.cfg.ViT.TwoStream {
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
