package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/train"
)

// comparedGroup are runs of which the losses can be compared.
type comparedGroup struct {
	title string
	rows  []comparedRow
}

// comparedRow is a run, or several that differ in their seeds only.
type comparedRow struct {
	name string
	runs []comparedRun
}

// groupRuns puts runs into groups, and runs that differ in seeds only into one row unless each has its own.
func groupRuns(all []comparedRun, each bool) (groups []comparedGroup) {
	kinds := map[string]int{}
	rows := map[string]int{}
	titles := map[string]int{}
	for _, r := range all {
		g, known := kinds[r.kind]
		if !known {
			g = len(groups)
			kinds[r.kind] = g
			title, _, _ := strings.Cut(r.kind, "\x00")
			if titles[title]++; titles[title] > 1 {
				title += fmt.Sprintf(" (others, %d)", titles[title])
			}
			groups = append(groups, comparedGroup{title: title})
		}
		key := r.kind + "\x00" + fmt.Sprint(r.Steps, withoutSeed(r.settings))
		i, known := rows[key]
		if each || len(r.settings) == 0 || !known {
			i = len(groups[g].rows)
			rows[key] = i
			groups[g].rows = append(groups[g].rows, comparedRow{name: r.Run})
		}
		row := &groups[g].rows[i]
		row.runs = append(row.runs, r)
	}
	for _, g := range groups {
		for i := range g.rows {
			g.rows[i].rename()
		}
	}
	return groups
}

// withoutSeed leaves the seed out.
func withoutSeed(settings []train.Setting) []train.Setting {
	return slices.DeleteFunc(slices.Clone(settings), func(s train.Setting) bool { return s.Name == "loop.seed" })
}

// rename calls a row of several runs by what their names begin with.
func (r *comparedRow) rename() {
	if len(r.runs) == 1 {
		return
	}
	name := r.runs[0].Run
	for _, other := range r.runs[1:] {
		for !strings.HasPrefix(other.Run, name) {
			name = name[:len(name)-1]
		}
	}
	name = strings.TrimSuffix(strings.TrimRight(name, "-_./ 0123456789"), "seed")
	if name = strings.TrimRight(name, "-_./ "); name == "" {
		name = r.runs[0].Run
	}
	r.name = fmt.Sprintf("%s (%d seeds)", name, len(r.runs))
}

// differing lists the settings that rows have differently.
func (g comparedGroup) differing() (names []string) {
	for _, row := range g.rows {
		for _, s := range withoutSeed(row.runs[0].settings) {
			if !slices.Contains(names, s.Name) && slices.ContainsFunc(g.rows, func(r comparedRow) bool { return r.setting(s.Name) != s.Value }) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// setting is the value of the named setting, empty if the runs have none of this name.
func (r comparedRow) setting(name string) string {
	for _, s := range r.runs[0].settings {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// stat is the mean of n values, and their standard deviation if there are several.
type stat struct {
	mean, sd float64
	n        int
}

// statOf is the stat of a number of the runs; n is 0 if a run lacks it.
func (r comparedRow) statOf(of func(comparedRun) any) (s stat) {
	var values []float64
	for _, run := range r.runs {
		switch v := of(run).(type) {
		case float64:
			values = append(values, v)
		case int:
			values = append(values, float64(v))
		case int64:
			values = append(values, float64(v))
		default:
			return stat{}
		}
	}
	s.n = len(values)
	for _, v := range values {
		s.mean += v / float64(s.n)
	}
	for _, v := range values {
		s.sd += (v - s.mean) * (v - s.mean)
	}
	s.sd = math.Sqrt(s.sd / float64(max(1, s.n-1)))
	return s
}
