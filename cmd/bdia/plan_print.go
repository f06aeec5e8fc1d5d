package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// printPlanned says what is planned.
func printPlanned(w io.Writer, t train.Synthetic, all, trainable int64) {
	v, c := viewOf(t), t.Common()
	batch := fmt.Sprintf("batch %d", c.Loop.Batch)
	if c.Loop.Batch == 0 { // as much as its tokens allow
		batch = "batches of " + v.batch()
	}
	fmt.Fprintf(w, "%s; %s; %s; precision %s.\n%s parameters", v.model(), batch, c.Optimizer.Name, c.Engine.Precision, cli.Count(all))
	if trainable != all {
		fmt.Fprintf(w, ", of which training changes %s", cli.Count(trainable))
	}
	fmt.Fprintln(w, ".")
}

// planModes plans the modes that o asks for.
func (o planOptions) planModes(w io.Writer, t train.Synthetic, out map[string]any) error {
	usages := map[string]backend.Usage{}
	var err error
	if o.others {
		usages, err = train.PlanModes(t)
	} else {
		mode := o.only[0]
		usages[mode.String()], err = train.Plan(train.WithMemory(t, mode))
	}
	if err != nil {
		return err
	}
	both, err := planPrecisions(t)
	if err != nil {
		return err
	}
	if o.asJSON {
		plans := map[string]usageJSON{}
		for name, u := range usages {
			plans[name] = usageOf(u)
		}
		out["modes"], out["precisions"] = plans, both
		return nil
	}
	printPlan(w, o, usages)
	own := t.Common().Engine.Precision
	other := backend.BFloat16 - own
	fmt.Fprintf(w, "In %s (--precision %[1]s) %s takes %s, %.2f times as much.\n", other, t.Common().Method.Memory, cli.Bytes(both[other.String()]), float64(both[other.String()])/float64(both[own.String()]))
	return nil
}

func printPlan(w io.Writer, o planOptions, usages map[string]backend.Usage) {
	var names []string
	for _, mode := range o.only {
		names = append(names, mode.String())
	}
	for name := range usages { // of other models
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var columns []backend.Usage
	for _, name := range names {
		columns = append(columns, usages[name])
	}
	cli.MemoryTable(w, names, columns)
	if len(columns) == 1 {
		return
	}
	fmt.Fprintf(w, "Store takes %.2f times the memory of reversible, recompute %.2f times.\n",
		float64(columns[1].Total)/float64(columns[0].Total), float64(columns[2].Total)/float64(columns[0].Total))
	if len(columns) > len(modes) {
		share := func(u backend.Usage) float64 { return float64(u.Total) / float64(columns[1].Total) }
		fmt.Fprintf(w, "Reversible takes %.3f of the memory of store, RevViT %.3f.\n", share(columns[0]), share(columns[3]))
	}
}

// planBudget prints the largest batch of each mode that fits into the budget, and reports whether the run's own mode
// does.
func (o planOptions) planBudget(w io.Writer, t train.Synthetic, out map[string]any) (fits bool, err error) {
	plans, limit := map[string]usageJSON{}, o.limit
	out["budget_bytes"], out["modes"] = limit, plans
	if !o.asJSON {
		fmt.Fprintf(w, "%s in %s:\n", viewOf(t).words().batch, cli.Bytes(limit))
	}
	use := ""
	for _, mode := range o.only {
		batch, u, err := train.LargestBatch(t, mode, limit)
		if err != nil {
			return false, err
		}
		own := mode == t.Common().Method.Memory
		if own && batch > 0 {
			fits, use = true, fmt.Sprintf("Use %s %d.\n", viewOf(t).words().size, batch)
		}
		j := usageOf(u)
		j.Batch = &batch
		plans[mode.String()] = j
		switch {
		case o.asJSON:
		case batch == 0:
			fmt.Fprintf(w, "  %-12s does not fit, even with a batch of 1\n", mode)
		default:
			fmt.Fprintf(w, "  %-12s %6d   (%s)\n", mode, batch, cli.Bytes(u.Total))
		}
	}
	if !o.asJSON {
		fmt.Fprint(w, use)
	}
	return fits, nil
}

// planTime measures a step of the run on random samples.
func (o planOptions) planTime(ctx context.Context, w io.Writer, t train.Synthetic, out map[string]any) error {
	const steps = 3
	step, err := timeStep(ctx, t, steps)
	if err != nil {
		return err
	}
	total := step.SecondsPerStep * float64(t.Common().Schedule.Steps)
	if out["seconds_per_step"], out["seconds"] = step.SecondsPerStep, total; o.asJSON {
		return nil
	}
	if n := t.Common().Schedule.Steps; n > 0 {
		fmt.Fprintf(w, "A step takes %.3g s on this machine, %s of them %s; evaluations come on top.\n", step.SecondsPerStep, cli.Count(int64(n)), cli.Seconds(total))
		return nil
	}
	fmt.Fprintf(w, "A step takes %.3g s on this machine.\n", step.SecondsPerStep)
	return nil
}

// usageJSON is one plan for machines.
type usageJSON struct {
	TotalBytes int64            `json:"total_bytes"`
	Components map[string]int64 `json:"components"`
	Batch      *int             `json:"largest_batch,omitempty"`
}

func usageOf(u backend.Usage) usageJSON {
	j := usageJSON{TotalBytes: u.Total, Components: map[string]int64{}}
	for c := range backend.NumComponents {
		j.Components[c.String()] = u.ByComponent[c]
	}
	return j
}

// hostText says what a process takes beside the arena, and for what.
func hostText(h train.Host) string {
	text := "about " + cli.Bytes(h.Program+h.Tokenizers+h.Lists)
	if h.Images > 0 {
		text += fmt.Sprintf(", and %s for decoded images", cli.Bytes(h.Images))
	}
	return text
}

// hostOf is what a process takes beside the arena, for machines.
func hostOf(h train.Host) map[string]any {
	return map[string]any{"program_bytes": h.Program, "tokenizer_bytes": h.Tokenizers, "image_bytes": h.Images, "list_bytes": h.Lists, "total_bytes": h.Total()}
}
