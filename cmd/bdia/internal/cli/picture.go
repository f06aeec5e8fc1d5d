package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/train"
)

// PrintPicture shows on w, in lines of at most columns, what a run learns from.
func PrintPicture(w io.Writer, p train.Picture, columns int) {
	row := func(label, format string, args ...any) { Row(w, columns, label, fmt.Sprintf(format, args...)) }
	var read []string
	for _, c := range p.Counts {
		text := Counted(c.Read, c.What)
		if c.Used != c.Read {
			text += fmt.Sprintf(" (%s used)", Count(c.Used))
		}
		read = append(read, text)
	}
	if len(read) > 0 {
		row("Read", "%s", strings.Join(read, ", "))
	}
	for _, l := range p.LeftOut {
		label := "Left out"
		if l.Kept {
			label = "Changed"
		}
		first := ""
		if l.First != "" {
			first = "; first: " + l.First
		}
		row(label, "%s %s%s", Counted(l.Count, l.What), l.Reason, first)
	}
	for _, part := range p.Parts {
		row(partLabel[part.Name], "%s", partText(p, part))
	}
	if len(p.Classes) > 0 {
		row("Classes", "%s", classText(p.Classes))
	}
	for i, l := range p.Lengths {
		label := ""
		if i == 0 {
			label = "Lengths"
		}
		row(label, "%s", lengthText(l))
	}
	for _, note := range p.Notes {
		row("Note", "%s", note)
	}
	for _, s := range p.Samples {
		printSample(w, columns, s)
	}
}

// lengthText tells how lengths are spread.
func lengthText(l train.Lengths) string {
	if l.Min == l.Max {
		return fmt.Sprintf("%s: %s each", l.What, Counted(int64(l.Max), l.Unit))
	}
	return fmt.Sprintf("%s: %s to %s %s; half <= %s, 90%% <= %s, 99%% <= %s",
		l.What, Count(int64(l.Min)), Count(int64(l.Max)), l.Unit, Count(int64(l.Median)), Count(int64(l.P90)), Count(int64(l.P99)))
}

// partLabel names the parts of the data.
var partLabel = map[string]string{"train": "Train on", "val": "Held out", "test": "Test"}

// partText says how large a part is.
func partText(p train.Picture, part train.Part) string {
	what := "samples"
	if n := len(p.Counts); n > 0 {
		what = p.Counts[n-1].What
	}
	text := Counted(part.Samples, what)
	if part.Unit != what {
		text += ", " + Counted(part.Losses, part.Unit)
	}
	return text
}

// Counted is a number of things, given in the plural: "1 pair", "1,024 pairs".
func Counted(n int64, what string) string {
	if n == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	return Count(n) + " " + what
}

// mostClasses is how many classes are named.
const mostClasses = 12

// classText names classes with their sizes: of training, and held out. Of many it names the first, the smallest and the
// largest.
func classText(classes []train.Class) string {
	var texts []string
	for _, c := range classes[:min(len(classes), mostClasses)] {
		texts = append(texts, oneClass(c))
	}
	text := fmt.Sprintf("%s (train+held out): %s", Count(int64(len(classes))), strings.Join(texts, ", "))
	if more := len(classes) - mostClasses; more > 0 {
		by := func(a, b train.Class) int { return cmp.Compare(a.Train, b.Train) }
		text += fmt.Sprintf(" and %s more; the smallest is %s, the largest %s", Count(int64(more)), oneClass(slices.MinFunc(classes, by)), oneClass(slices.MaxFunc(classes, by)))
	}
	return text
}

// oneClass is a class with its sizes.
func oneClass(c train.Class) string {
	text := fmt.Sprintf("%s %s", c.Name, Count(c.Train))
	if c.Val > 0 {
		text += "+" + Count(c.Val)
	}
	return text
}
