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
	l, err := loadRun(c.Model, device{Options: c.Engine}, r.Dir, "", func(m *model.GPT) error { return generate.Rehearse(m, len(ids), o) })
	if err != nil {
		return "", err
	}
	defer l.be.Close()
	return generate.Text(l.model, l.tok, ids, o)
}

// quick is what a quickstart shows of its run.
type quick struct {
	run    *train.Run
	task   *text.Task
	sample string
	store  backend.Usage  // of ordinary back-propagation
	report *verify.Report // on the next batch
}

// quickRun samples from r, a run of t, plans what it would have taken otherwise, and checks that it is exact.
func quickRun(ctx context.Context, r *train.Run, t *text.Task) (quick, error) {
	q := quick{run: r, task: t}
	var err error
	if q.sample, err = sampleOf(r, t); err != nil {
		return q, err
	}
	modes, err := train.PlanModes(t)
	if err != nil {
		return q, err
	}
	q.store = modes[bdia.Store.String()]
	next, err := subjectOfRun(ctx, r, false)
	if err != nil {
		return q, err
	}
	q.report, err = next.check(verify.NoFault)
	return q, err
}

// printJSON prints q for machines.
func (q quick) printJSON(w io.Writer, end outcome) error {
	j := summaryJSON(q.run, end)
	j["sample"], j["ordinary_peak_bytes"], j["exact"] = q.sample, q.store.Total, q.report.Exact()
	return cli.PrintJSON(w, j)
}

// print prints q for people.
func (q quick) print(w io.Writer, sum train.Summary) error {
	fmt.Fprintf(w, "\n%d steps in %s. Loss on held-out text:\n  %.3f at the start, %.3f at the end (perplexity %.0f -> %.1f)\n",
		sum.Steps, cli.Seconds(sum.Seconds), sum.FirstVal.Loss, sum.LastVal.Loss, math.Exp(sum.FirstVal.Loss), math.Exp(sum.LastVal.Loss))
	if !math.IsNaN(sum.Float32Val.Loss) {
		fmt.Fprintf(w, "  %s\n", gapOf(q.task.Settings.Engine.Precision, sum.LastVal.Loss, sum.Float32Val.Loss))
	}
	fmt.Fprintf(w, "\nIt writes:\n%s\n", cli.Indent(q.sample))
	fmt.Fprintln(w, "\nPeak memory, by component:")
	cli.MemoryTable(w, []string{"this run", "ordinary"}, []backend.Usage{sum.Peak, q.store})
	fmt.Fprintf(w, "  Ordinary back-propagation would have needed %.1f times as much.\n  This run's peak was %s.\n",
		float64(q.store.Total)/float64(sum.Peak.Total), asPlanned(sum))
	fmt.Fprintln(w, "\nExactness of this run's reverse walk, on its next batch:")
	printReport(w, q.report, false)
	prompt := ""
	if q.task.Settings.Data.Path == "go" {
		prompt = " --prompt \"func \""
	}
	fmt.Fprintf(w, "\nThe run, with its loss curve in loss.png, is in %s.\nGo on with:\n", q.run.Dir)
	_, err := fmt.Fprintf(w, "  bdia generate %s%s\n  bdia train resume %s --steps %d\n", q.run.Dir, prompt, q.run.Dir, 2*sum.Steps)
	return err
}
