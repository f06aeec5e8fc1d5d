package cli

import (
	"fmt"
	"strings"
	"time"
)

// Indent sets text, which may be any bytes, off from what is around it (see Harmless).
func Indent(text string) string {
	return "  | " + strings.ReplaceAll(strings.TrimRight(Harmless(text), "\n"), "\n", "\n  | ")
}

// Lines draws how many of total units are done, as "translated 3 of 9 sentences",
// where the total is known.
func (p *Progress) Lines(done, units string, n, total int, began time.Time) {
	if total == 0 {
		return
	}
	every := printEvery
	if p.columns != nil {
		every = drawEvery
	}
	if p.latest.IsZero() { // short work is not worth a line
		p.latest = began
	}
	if time.Since(p.latest) < every {
		return
	}
	spent := time.Since(began)
	left := time.Duration(float64(spent) / float64(max(n, 1)) * float64(total-n))
	text := fmt.Sprintf("%s %d of %d %s  %.1f/s  ETA %s", done, n, total, units, float64(n)/spent.Seconds(), left.Round(time.Second))
	if p.columns != nil {
		p.line(text[:min(len(text), max(p.columns()-4, 0))])
		return
	}
	p.latest = time.Now()
	fmt.Fprintln(p.W, text)
}
