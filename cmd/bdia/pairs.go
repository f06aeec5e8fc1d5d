package main

import (
	"fmt"
	"io"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/train"
)

// printPairs says which pairs a run learns, and which it left out.
func printPairs(w io.Writer, p *train.Pairs) {
	fmt.Fprint(w, "Pairs:")
	for part := pairs.Train; part <= pairs.Test; part++ {
		if s := p.Set(part); s != nil {
			fmt.Fprintf(w, " %s %s,", countText(int64(s.Len())), pairUse[part])
		}
	}
	fmt.Fprintf(w, " %s tokens\n", countText(p.Set(pairs.Train).Tokens()))
	for _, r := range []struct {
		name   string
		report *pairs.Report
	}{{"of training", p.Report}, {"of validation", p.Val}} {
		if r.report != nil && r.report.Skipped()+r.report.Why[pairs.Truncated].Count > 0 {
			fmt.Fprintf(w, "Files %s: %v\n", r.name, r.report)
		}
	}
}

// pairUse says what a part is for.
var pairUse = [...]string{pairs.Train: "to train on", pairs.Val: "for validation", pairs.Test: "for tests"}

// pairsOf is a report for machines.
func pairsOf(r *pairs.Report) map[string]any {
	why := map[string]int{}
	for reason, t := range r.Why {
		if t.Count > 0 {
			why[pairs.Reason(reason).String()] = t.Count
		}
	}
	return map[string]any{"read": r.Read, "train": r.Kept[pairs.Train], "val": r.Kept[pairs.Val], "test": r.Kept[pairs.Test], "left_out": r.Skipped(), "why": why}
}
