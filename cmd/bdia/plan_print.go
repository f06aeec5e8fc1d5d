package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

func printPlan(w io.Writer, t train.Synthetic, usages map[string]backend.Usage) {
	v, c := viewOf(t), t.Common()
	batch := fmt.Sprintf("batch %d", c.Loop.Batch)
	if c.Loop.Batch == 0 { // as much as its tokens allow
		batch = "batches of " + v.batch()
	}
	fmt.Fprintf(w, "%s; %s; %s.\n", v.model(), batch, c.Optimizer.Name)
	var names []string
	for _, mode := range modes {
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
	fmt.Fprintf(w, "Store takes %.2f times the memory of reversible, recompute %.2f times.\n",
		float64(columns[1].Total)/float64(columns[0].Total), float64(columns[2].Total)/float64(columns[0].Total))
	if len(columns) > len(modes) {
		share := func(u backend.Usage) float64 { return float64(u.Total) / float64(columns[1].Total) }
		fmt.Fprintf(w, "Reversible takes %.3f of the memory of store, RevViT %.3f.\n", share(columns[0]), share(columns[3]))
	}
}

// planBudget prints the largest batch of each mode that fits into limit bytes.
func planBudget(w io.Writer, t train.Synthetic, limit int64, asJSON bool) error {
	out := map[string]usageJSON{}
	if !asJSON {
		v := viewOf(t)
		fmt.Fprintf(w, "%s.\n%s in %s:\n", v.model(), v.words().batch, cli.Bytes(limit))
	}
	for _, mode := range modes {
		batch, u, err := train.LargestBatch(t, mode, limit)
		if err != nil {
			return err
		}
		j := usageOf(u)
		j.Batch = &batch
		out[mode.String()] = j
		switch {
		case asJSON:
		case batch == 0:
			fmt.Fprintf(w, "  %-12s does not fit, even with a batch of 1\n", mode)
		default:
			fmt.Fprintf(w, "  %-12s %6d   (%s)\n", mode, batch, cli.Bytes(u.Total))
		}
	}
	if asJSON {
		return cli.PrintJSON(w, map[string]any{"budget_bytes": limit, "modes": out})
	}
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
