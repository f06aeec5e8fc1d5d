package main

import (
	"fmt"
	"io"
	"math"
)

// table prints a table for each model and data set, with means over seeds and standard deviations.
func table(w io.Writer, results []result) error {
	seen := map[string]bool{}
	for _, r := range results {
		if group := groupOf(r); !seen[group] {
			seen[group] = true
			if err := tableOf(w, group, results); err != nil {
				return err
			}
		}
	}
	return nil
}

func tableOf(w io.Writer, group string, results []result) error {
	if _, err := fmt.Fprintf(w, "\n%s\n\n| way | seeds | before step 1 | best | better than plain | at step | end | MiB |\n|---|---|---|---|---|---|---|---|\n", group); err != nil {
		return err
	}
	plain := map[int]float64{} // by seed
	for _, r := range results {
		if groupOf(r) == group && r.Way == ways[0].name {
			plain[r.Seed] = r.Best
		}
	}
	for _, way := range ways {
		var before, best, gain, step, end, bytes sample
		for _, r := range results {
			if groupOf(r) != group || r.Way != way.name {
				continue
			}
			if r.Law > 0 {
				before = append(before, r.Law-r.Before)
			}
			best, end, step, bytes = append(best, r.Best), append(end, r.End), append(step, float64(r.BestStep)), append(bytes, float64(r.Planned))
			if p, ok := plain[r.Seed]; ok {
				gain = append(gain, p-r.Best)
			}
		}
		if len(best) == 0 {
			continue
		}
		spoilt := "0"
		if len(before) > 0 {
			spoilt = fmt.Sprintf("%+.4f", before.mean())
		}
		if _, err := fmt.Fprintf(w, "| %s | %d | %s | %v | %v | %.0f | %v | %.1f |\n", way.name, len(best), spoilt, best, gain, step.mean(), end, bytes.mean()/(1<<20)); err != nil {
			return err
		}
	}
	return nil
}

// sample is a measure of several seeds.
type sample []float64

func (s sample) mean() (m float64) {
	for _, v := range s {
		m += v / float64(len(s))
	}
	return m
}

// String is the mean and the standard deviation.
func (s sample) String() string {
	if len(s) < 2 {
		return fmt.Sprintf("%.3f", s.mean())
	}
	var squares float64
	for _, v := range s {
		squares += (v - s.mean()) * (v - s.mean())
	}
	return fmt.Sprintf("%.3f ± %.3f", s.mean(), math.Sqrt(squares/float64(len(s)-1)))
}
