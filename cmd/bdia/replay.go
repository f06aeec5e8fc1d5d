package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/train"
)

// replayFlags are what bdia verify --replay takes.
var replayFlags = map[string]bool{"replay": true, "step": true, "json": true, "threads": true, "isa": true}

// checkReplay refuses flags that mean nothing together.
func (o overrides) checkReplay(args []string) error {
	if !o.has("replay") {
		if o.has("step") {
			return cli.Usage(fmt.Errorf("--step is for --replay"))
		}
		return nil
	}
	for _, name := range o.names() {
		if !replayFlags[name] {
			return cli.Usage(fmt.Errorf("--%s cannot stand beside --replay, which computes what the run computed; give --step, --threads, --isa or --json", name))
		}
	}
	if len(args) == 0 || !o.has("step") {
		return cli.Usage(fmt.Errorf("--replay needs a run and --step: bdia verify --replay RUN --step N"))
	}
	return nil
}

// replayStep computes a step of the run in dir again and prints what came of it.
func replayStep(cmd *cobra.Command, g overrides, dir string, step int, asJSON bool) error {
	r, err := openRun(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := g.changed(r.Task); err != nil {
		return err
	}
	if _, err := g.settle(r.Task); err != nil {
		return err
	}
	res, err := cli.AtOnce(cmd.Context(), func() (*train.Replayed, error) {
		return r.Replay(cmd.Context(), step, nil)
	})
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if asJSON {
		err = cli.PrintJSON(w, jsonOfReplay(res))
	} else {
		printReplay(w, res)
	}
	if err == nil && res.Difference != nil {
		return errMismatch
	}
	return err
}

// replayedJSON is what bdia verify --replay --json prints.
type replayedJSON struct {
	Step       int                `json:"step"`
	From       int                `json:"from"`
	Against    string             `json:"against"`
	Compared   int                `json:"compared"`
	LeftOut    []int              `json:"left_out,omitempty"`
	Missing    int                `json:"missing_certificates,omitempty"`
	Equal      bool               `json:"equal"`
	Difference *metric.Difference `json:"difference,omitempty"`
	Loss       any                `json:"loss"`
	States     []string           `json:"states"`
	Blocks     map[string]string  `json:"blocks"`
}

func jsonOfReplay(r *train.Replayed) replayedJSON {
	j := replayedJSON{Step: r.Step, From: r.From, Against: r.Against, Compared: r.Compared, LeftOut: r.LeftOut, Missing: r.Uncertified, Equal: r.Difference == nil && r.Compared > 0,
		Difference: r.Difference, Loss: cli.Number(r.Certificate.Loss), Blocks: map[string]string{}}
	for _, sum := range r.Certificate.States {
		j.States = append(j.States, fmt.Sprintf("%016x", sum))
	}
	for _, b := range r.Certificate.Blocks {
		j.Blocks[b.Name] = fmt.Sprintf("%016x", b.Sum)
	}
	return j
}

// printReplay prints a replay for people.
func printReplay(w io.Writer, r *train.Replayed) {
	from := "the beginning"
	if r.From > 0 {
		from = fmt.Sprintf("the checkpoint of step %d in %s", r.From, r.Folder)
	}
	fmt.Fprintf(w, "  steps %d to %d computed again from %s\n", r.From+1, r.Step, from)
	fmt.Fprintf(w, "  loss of step %d             %v\n", r.Step, r.Certificate.Loss)
	if len(r.LeftOut) > 0 {
		fmt.Fprintf(w, "  left out, since they diverge: steps %v\n", r.LeftOut)
	}
	switch d := r.Difference; {
	case r.Compared == 0:
		fmt.Fprintln(w, "  Nothing to compare with: the run did not record these steps. --certificate records every step of a run.")
	case d != nil:
		fmt.Fprintf(w, "  DIFFERENT at step %d: %s was %s, and is %s.\n", d.Step, d.What, d.A, d.B)
		fmt.Fprintln(w, "  The run, or this machine, has computed it wrongly, if program, data and settings are the same.")
	case r.Against == "loss":
		fmt.Fprintf(w, "  Equal: %d recorded losses agree to the bit.\n", r.Compared)
	default:
		fmt.Fprintf(w, "  Equal: the certificates of %d steps agree: every state, the loss, and every updated parameter.\n", r.Compared)
	}
	if r.Uncertified > 0 {
		fmt.Fprintf(w, "  %d of the steps have no certificate: certificate.jsonl was cut short, or the run began to record later.\n", r.Uncertified)
	}
}
