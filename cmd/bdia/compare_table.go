package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// comparedColumn is a column of the tables.
type comparedColumn struct {
	head, key string
	of        func(comparedRun) any
	text      func(float64) string
}

// comparedColumns are the columns, of which a table has those with a value.
var comparedColumns = []comparedColumn{
	{"steps", "steps", func(r comparedRun) any { return r.Steps }, count},
	{"best", "best_val_loss", func(r comparedRun) any { return r.BestLoss }, fourDecimals},
	{"at step", "best_step", func(r comparedRun) any {
		if r.BestLoss == nil {
			return nil
		}
		return r.BestStep
	}, count},
	{"last", "val_loss", func(r comparedRun) any { return r.LastLoss }, fourDecimals},
	{"training", "train_loss", func(r comparedRun) any { return r.TrainLoss }, fourDecimals},
	{"bits/byte", "best_bits_per_byte", func(r comparedRun) any { return r.BitsPerByte }, fourDecimals},
	{"accuracy", "best_val_accuracy", func(r comparedRun) any { return r.BestAcc }, percentage},
	{"at the end", "val_accuracy", func(r comparedRun) any { return r.LastAcc }, percentage},
	{"parameters", "parameters", func(r comparedRun) any { return r.Parameters }, count},
	{"memory", "planned_bytes", func(r comparedRun) any { return r.PeakBytes }, func(v float64) string { return cli.Bytes(int64(v)) }},
	{"speed", "per_second", func(r comparedRun) any { return r.Speed }, func(v float64) string { return count(v) + "/s" }},
	{"time", "seconds", func(r comparedRun) any { return r.Seconds }, cli.Seconds},
}

func count(v float64) string        { return cli.Count(int64(v + 0.5)) }
func fourDecimals(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
func percentage(v float64) string   { return strconv.FormatFloat(100*v, 'f', 2, 64) + "%" }

// exact are the columns that show no standard deviation: of numbers that seeds do not change, or of rough ones.
var exact = []string{"steps", "best_step", "parameters", "planned_bytes", "per_second", "seconds"}

// show formats a number, with the standard deviation of several runs.
func (c comparedColumn) show(s stat) string {
	switch {
	case s.n == 0:
		return "-"
	case s.n == 1 || slices.Contains(exact, c.key):
		return c.text(s.mean)
	}
	return strings.TrimSuffix(c.text(s.mean), "%") + " ± " + c.text(s.sd)
}

// columns are those for which a row of g has a value.
func (g comparedGroup) columns() (has []comparedColumn) {
	for _, c := range comparedColumns {
		if slices.ContainsFunc(g.rows, func(r comparedRow) bool { return r.statOf(c.of).n > 0 }) {
			has = append(has, c)
		}
	}
	return has
}

// cells are the numbers of a table of g: a line of heads, and a line a row. With settings, the ones that differ are
// columns too.
func (g comparedGroup) cells(settings bool) (lines [][]string) {
	head := []string{"run"}
	columns := g.columns()
	for _, c := range columns {
		head = append(head, c.head)
	}
	var names []string
	if settings {
		names = g.differing()
	}
	lines = append(lines, append(head, names...))
	for _, row := range g.rows {
		line := []string{row.name}
		for _, c := range columns {
			line = append(line, c.show(row.statOf(c.of)))
		}
		for _, name := range names {
			line = append(line, row.setting(name))
		}
		lines = append(lines, line)
	}
	return lines
}

// legend says what the numbers are.
const legend = "Losses are in nats: validation, best and last; training batches, the last tenth."

// aligned prints tables for a terminal.
func aligned(w io.Writer, groups []comparedGroup) {
	for _, g := range groups {
		if len(groups) > 1 {
			fmt.Fprintf(w, "%s\n", g.title)
		}
		printAligned(w, g.cells(false))
		if names := g.differing(); len(names) > 0 {
			fmt.Fprintln(w, "\nSettings that differ:")
			lines := [][]string{append([]string{"run"}, names...)}
			for _, row := range g.rows {
				line := []string{row.name}
				for _, name := range names {
					line = append(line, cmp.Or(row.setting(name), "-"))
				}
				lines = append(lines, line)
			}
			printAligned(w, lines)
		}
		fmt.Fprintln(w)
	}
	for _, line := range notesOf(groups) {
		fmt.Fprintln(w, line)
	}
}

// printAligned prints lines of cells, the first column to the left and the others to the right.
func printAligned(w io.Writer, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, line := range lines {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i == 0 {
				fmt.Fprint(w, cell+pad)
			} else {
				fmt.Fprint(w, "  "+pad+cell)
			}
		}
		fmt.Fprintln(w)
	}
}
