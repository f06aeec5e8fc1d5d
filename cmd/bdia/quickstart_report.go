package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/verify"
)

// sampleOf continues the beginning of the held-out text of r, a run of t.
func sampleOf(r *train.Run, t *text.Task) (string, error) {
	ids, err := t.Prompt()
	if err != nil {
		return "", err
	}
	c, o := t.Settings, generate.DefaultOptions()
	o.MaxTokens, o.Grid = 120, c.Method.Grid
	l, err := loadRun(c.Model, c.Engine, r.Dir, "", func(m *model.GPT) error { return generate.Rehearse(m, len(ids), o) })
	if err != nil {
		return "", err
	}
	defer l.be.Close()
	return generate.Text(l.model, l.tok, ids, o)
}

// quickReport prints what r, a run of t, shows.
func quickReport(ctx context.Context, w io.Writer, r *train.Run, t *text.Task, sum train.Summary) error {
	fmt.Fprintf(w, "\n%d steps in %s. Loss on held-out text:\n  %.3f at the start, %.3f at the end (perplexity %.0f -> %.1f)\n",
		sum.Steps, cli.Seconds(sum.Seconds), sum.FirstVal.Loss, sum.LastVal.Loss, math.Exp(sum.FirstVal.Loss), math.Exp(sum.LastVal.Loss))

	text, err := sampleOf(r, t)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nIt writes:\n%s\n", cli.Indent(text))

	modes, err := train.PlanModes(t)
	if err != nil {
		return err
	}
	store := modes[bdia.Store.String()]
	fmt.Fprintln(w, "\nPeak memory, by component:")
	cli.MemoryTable(w, []string{"this run", "ordinary"}, []backend.Usage{sum.Peak, store})
	fmt.Fprintf(w, "  Ordinary back-propagation would have needed %.1f times as much.\n  This run's peak was %s.\n",
		float64(store.Total)/float64(sum.Peak.Total), asPlanned(sum))

	next, err := subjectOfRun(ctx, r, false)
	if err != nil {
		return err
	}
	report, err := next.check(verify.NoFault)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nExactness of this run's reverse walk, on its next batch:")
	printReport(w, report, false)
	prompt := ""
	if t.Settings.Data.Path == "go" {
		prompt = " --prompt \"func \""
	}
	fmt.Fprintf(w, "\nThe run, with its loss curve in loss.png, is in %s.\nGo on with:\n", r.Dir)
	fmt.Fprintf(w, "  bdia generate %s%s\n  bdia train resume %s --steps %d\n", r.Dir, prompt, r.Dir, 2*sum.Steps)
	if !report.Exact() {
		return errMismatch
	}
	return nil
}
