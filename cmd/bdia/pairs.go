package main

import (
	"github.com/bdia-go/bdia/data/pairs"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// addPairs adds to a summary which pairs the run read when it began; a run that goes on has not read them.
func addPairs(j map[string]any, p *trainpairs.Sets) {
	if p.Report != nil {
		j["pairs"] = pairsOf(p)
	}
}

// pairsOf says for machines what became of the pairs. Where validation has files of its
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
