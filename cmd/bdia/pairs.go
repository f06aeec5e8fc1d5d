package main

import (
	"fmt"
	"io"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// printPairs says which pairs a run learns, and which it left out.
func printPairs(w io.Writer, p *trainpairs.Sets) {
	fmt.Fprint(w, "Pairs:")
	for part := pairs.Train; part <= pairs.Test; part++ {
		if s := p.Set(part); s != nil {
			fmt.Fprintf(w, " %s %s,", cli.Count(int64(s.Len())), pairUse[part])
		}
	}
	fmt.Fprintf(w, " %s tokens\n", cli.Count(p.Set(pairs.Train).Tokens()))
	for _, r := range []struct {
		name   string
		report *pairs.Report
	}{{"of training", p.Report}, {"of validation", p.Val}} {
		if r.report != nil && r.report.Skipped()+r.report.Why[pairs.Truncated].Count > 0 {
			fmt.Fprintf(w, "Files %s: %v\n", r.name, r.report)
		}
	}
	if p.Leaked > 0 {
		fmt.Fprintf(w, "Warning: of the pairs for validation, %s have sources that are trained on too: their loss says little of others\n", cli.Count(int64(p.Leaked)))
	}
}

// pairUse says what a part is for.
var pairUse = [...]string{pairs.Train: "to train on", pairs.Val: "for validation", pairs.Test: "for tests"}

// addPairs adds to a summary which pairs the run read when it began; a run that goes on has not read them.
func addPairs(j map[string]any, p *trainpairs.Sets) {
	if p.Report != nil {
		j["pairs"] = pairsOf(p)
	}
}

// pairsOf says for machines what printPairs says. Where validation has files of its
// own, "val" is of these, and "val_files" says what became of their pairs.
func pairsOf(p *trainpairs.Sets) map[string]any {
	of := func(r *pairs.Report) map[string]any {
		why := map[string]int{}
		for reason, t := range r.Why {
			if t.Count > 0 {
				why[pairs.Reason(reason).String()] = t.Count
			}
		}
		return map[string]any{"read": r.Read, "left_out": r.Skipped(), "why": why}
	}
	j := of(p.Report)
	for part, n := range p.Report.Kept {
		j[pairs.Part(part).String()] = n
	}
	if p.Val != nil {
		files := of(p.Val)
		files["trained_on"] = p.Leaked
		j["val"], j["val_files"] = p.Set(pairs.Val).Len(), files
	}
	return j
}
