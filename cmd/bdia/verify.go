package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/verify"
)

func newVerify() *cobra.Command {
	var fault string
	var files bool
	var o checkOptions
	var step int
	c := &cobra.Command{
		Use:   "verify [RUN]",
		Short: "Check bit for bit that the reverse walk is exact",
		Long: `Run one training pass with stored activations and one reversibly, and compare every
rebuilt state and every gradient bit for bit, of a run on its next batch, or of a new
model on random samples. Exit code 1 if anything differs. For vision transformers, the
error of RevViT is printed too. --fault damages something in between, to be found.
--replay RUN --step N computes a step again, and compares it with the run's records.
--files RUN compares the files of a run or model with its manifest, and an exported GGUF
or ONNX file with the checksum in it.`,
		Example: `  bdia verify runs/quickstart
  bdia verify --preset vit-paper
  bdia verify --layers 48 --width 64 --heads 4 --context 64 --json
  bdia verify --preset nano --fault side-bit      # must fail`,
		Args: cli.Arguments(0, 1, "one run directory"),
	}
	cli.Group(c, "Check", func(f *pflag.FlagSet) {
		f.StringVar(&fault, "fault", string(verify.NoFault), "`kind`: "+strings.Join(faultNames(), ", "))
		f.BoolVar(&o.drift, "float", false, "measure how the error grows without a grid")
		f.BoolVar(&o.encoder, "encoder", false, "translation: check the encoder's states")
		f.BoolVar(&o.asJSON, "json", false, "print JSON")
	})
	cli.Rare(c, "replay of a step, files", func(f *pflag.FlagSet) {
		f.BoolVar(&files, "files", false, "compare the files of a run or a saved model with its manifest")
		f.Bool("replay", false, "compute --step of the run again, from the nearest checkpoint, and compare it with the run's certificate or loss")
		f.IntVar(&step, "step", 0, "`number` of the step to replay")
	})
	addSizes(c, ofSteps...)
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(faultNames(), fault) {
			return cli.Usage(fmt.Errorf("unknown fault %q; use %s", fault, strings.Join(faultNames(), ", ")))
		}
		if files {
			if len(args) != 1 {
				return cli.Usage(errors.New("--files needs the folder of a run or a saved model, or an exported file"))
			}
			return verifyFiles(cmd.Context(), cmd.OutOrStdout(), args[0], o.asJSON)
		}
		g := given(cmd.Flags())
		if err := g.checkReplay(args); err != nil {
			return err
		}
		if g.has("replay") {
			return replayStep(cmd, g, args[0], step, o.asJSON)
		}
		s, err := verified(cmd, args, o.encoder)
		if err != nil {
			return err
		}
		noteSpeed(cmd.ErrOrStderr(), s.Device)
		return o.check(cmd, s, verify.Fault(fault))
	}
	return c
}

// verified is the run that args name, or the model that the flags of cmd describe.
func verified(cmd *cobra.Command, args []string, encoder bool) (subject, error) {
	g := given(cmd.Flags())
	if len(args) == 0 {
		name, err := g.task()
		if err != nil {
			return subject{}, err
		}
		t, err := g.settle(small(newTask(name)))
		if err == nil {
			err = g.refuse(idleOfCheck(t, g))
		}
		if err != nil {
			return subject{}, err
		}
		return freshSubject(t, encoder)
	}
	r, err := openRun(args[0])
	if err != nil {
		return subject{}, err
	}
	defer r.Close()
	if g.has("batch") {
		r.Common().Loop.MicroBatch = 0
	}
	if err := g.refuse(idleOfCheck(r.Task, g)); err != nil {
		return subject{}, err
	}
	if _, err := g.changed(r.Task); err != nil {
		return subject{}, err
	}
	if _, err := g.settle(r.Task); err != nil {
		return subject{}, err
	}
	return subjectOfRun(cmd.Context(), r, encoder)
}

// small gives t a batch that takes little time.
func small(t train.Task) train.Task {
	n := 4
	if t.Common().Loop.Batch == 0 { // tokens
		n = 512
	}
	t.(train.Synthetic).SetBatch(n)
	return t
}

// checkOptions say what is checked, and what is printed.
type checkOptions struct{ drift, encoder, asJSON bool }

// check checks s and prints the report.
func (o checkOptions) check(cmd *cobra.Command, s subject, fault verify.Fault) error {
	w := cmd.OutOrStdout()
	if o.drift || s.twoStream {
		points, err := cli.AtOnce(cmd.Context(), s.points)
		if err != nil {
			return err
		}
		return printDrift(w, o.asJSON, s, points)
	}
	report, err := cli.AtOnce(cmd.Context(), func() (*verify.Report, error) { return s.check(fault) })
	if err != nil {
		return err
	}
	var beside []driftPoint // what RevViT's inverse does to the same model
	if s.beside != nil {
		if beside, err = cli.AtOnce(cmd.Context(), s.beside.points); err != nil {
			return err
		}
	}
	if o.asJSON {
		err = cli.PrintJSON(w, struct {
			*verify.Report
			Precision string       `json:"precision"`
			RevViT    []driftPoint `json:"revvit_drift,omitempty"`
		}{report, s.Device.Precision.String(), beside})
	} else {
		printReport(w, report, true)
		fmt.Fprintf(w, "  precision                   %s\n", s.Device.Precision)
		printRevViT(w, beside)
	}
	if err == nil && !report.Exact() {
		return errMismatch
	}
	return err
}

// faultNames lists the kinds of damage.
func faultNames() []string {
	var names []string
	for _, f := range verify.Faults() {
		names = append(names, string(f))
	}
	return names
}
