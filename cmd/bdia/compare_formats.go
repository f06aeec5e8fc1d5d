package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// tables print groups, by the names of their formats.
var tables = map[string]func(io.Writer, []comparedGroup){"table": aligned, "md": markdown, "csv": commaSeparated, "latex": latex}

// tableFormats lists what --format takes.
func tableFormats() []string { return []string{"table", "md", "csv", "latex", "json"} }

// notesOf say what numbers are, and which do not compare.
func notesOf(groups []comparedGroup) (lines []string) {
	lines = []string{legend}
	planned := false
	for _, g := range groups {
		for _, c := range g.columns() {
			planned = planned || c.key == "planned_bytes"
		}
		for _, name := range g.differing() {
			if strings.HasSuffix(name, ".path") || strings.HasSuffix(name, ".val_fraction") {
				lines = append(lines, "The data differ: losses compare only if what is held out is the same.")
				break
			}
		}
	}
	if planned {
		lines = append(lines, "Memory is the planned peak of training, with samples as long as it allows; speed is the median, time that of the whole run.")
	}
	if len(groups) > 1 {
		lines = append(lines, "These runs are of different tasks or vocabularies: losses compare within a table only, bits per byte",
			"of the same text between tables too.")
	}
	return lines
}

// markdown prints tables of Markdown.
func markdown(w io.Writer, groups []comparedGroup) {
	escape := strings.NewReplacer("|", `\|`)
	for _, g := range groups {
		if len(groups) > 1 {
			fmt.Fprintf(w, "%s:\n\n", g.title)
		}
		for i, line := range g.cells(true) {
			fmt.Fprintf(w, "| %s |\n", joinEscaped(line, " | ", escape))
			if i == 0 {
				fmt.Fprintf(w, "|---|%s\n", strings.Repeat("---:|", len(line)-1))
			}
		}
		fmt.Fprintln(w)
	}
	for _, line := range notesOf(groups) {
		fmt.Fprintln(w, line)
	}
}

// joinEscaped joins cells, each escaped.
func joinEscaped(cells []string, between string, escape *strings.Replacer) string {
	var out []string
	for _, cell := range cells {
		out = append(out, escape.Replace(cell))
	}
	return strings.Join(out, between)
}

// latex prints tabulars.
func latex(w io.Writer, groups []comparedGroup) {
	escape := strings.NewReplacer(`\`, `\textbackslash{}`, "_", `\_`, "%", `\%`, "&", `\&`, "#", `\#`, "$", `\$`, "{", `\{`, "}", `\}`,
		"~", `\textasciitilde{}`, "^", `\textasciicircum{}`, "±", `$\pm$`)
	for _, g := range groups {
		if len(groups) > 1 {
			fmt.Fprintf(w, "%% %s\n", g.title)
		}
		for i, line := range g.cells(true) {
			if i == 0 {
				fmt.Fprintf(w, "\\begin{tabular}{l%s}\n\\hline\n", strings.Repeat("r", len(line)-1))
			}
			fmt.Fprintf(w, "%s \\\\\n", joinEscaped(line, " & ", escape))
			if i == 0 {
				fmt.Fprintln(w, "\\hline")
			}
		}
		fmt.Fprint(w, "\\hline\n\\end{tabular}\n\n")
	}
	for _, line := range notesOf(groups) {
		fmt.Fprintf(w, "%% %s\n", line)
	}
}

// commaSeparated prints one table of plain numbers, with a line a row of all groups: means, standard deviations, and
// how many runs they are of.
func commaSeparated(w io.Writer, groups []comparedGroup) {
	out := csv.NewWriter(w)
	head := []string{"group", "run", "runs"}
	var names []string
	for _, g := range groups {
		for _, name := range g.differing() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, c := range comparedColumns {
		head = append(head, c.key, c.key+"_sd")
	}
	out.Write(append(head, names...))
	for _, g := range groups {
		for _, row := range g.rows {
			line := []string{g.title, row.name, strconv.Itoa(len(row.runs))}
			for _, c := range comparedColumns {
				mean, sd := "", ""
				if s := row.statOf(c.of); s.n > 0 {
					mean = strconv.FormatFloat(s.mean, 'f', -1, 64)
					if s.n > 1 {
						sd = strconv.FormatFloat(s.sd, 'f', -1, 64)
					}
				}
				line = append(line, mean, sd)
			}
			for _, name := range names {
				line = append(line, row.setting(name))
			}
			out.Write(line)
		}
	}
	out.Flush()
}
