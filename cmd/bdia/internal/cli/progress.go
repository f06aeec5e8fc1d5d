package cli

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/train"
)

const (
	drawEvery  = 100 * time.Millisecond // on a terminal
	printEvery = 5 * time.Second        // elsewhere
	smoothing  = 0.1                    // weight of the newest loss and rate
	eraseLine  = "\r\033[K"
)

// Progress is the train.Observer of the command line: one line with a bar on a
// terminal, a plain line now and then elsewhere.
type Progress struct {
	W    io.Writer
	Unit string // that speed is counted in: tokens or images

	columns func() int // width of the terminal; nil if W is none
	latest  time.Time  // line drawn
	drawn   bool       // a bar is on the screen

	began       time.Time
	first, last int // steps
	memory      backend.Usage
	loss, rate  float64 // smoothed
}

// NewProgress returns the progress line that is written to w.
func NewProgress(w io.Writer) *Progress {
	p := &Progress{W: w, Unit: "tokens"}
	if IsTerminal(w) {
		p.columns = func() int { return terminalColumns(w) }
	}
	return p
}

// Started reports whether training has begun.
func (p *Progress) Started() bool { return !p.began.IsZero() }

// Preparing reports reading and encoding of data; it has the type that
// train.Create wants.
func (p *Progress) Preparing(what string, done, total int64) {
	percent := 100 * done / max(total, 1)
	switch {
	case done >= total:
		p.Clear()
	case p.columns != nil && time.Since(p.latest) >= drawEvery:
		p.line(fmt.Sprintf("%s: %d%%", what, percent))
	case p.columns == nil && time.Since(p.latest) >= printEvery:
		if !p.latest.IsZero() { // shorter work is not worth a line
			fmt.Fprintf(p.W, "%s: %d%%\n", what, percent)
		}
		p.latest = time.Now()
	}
}

// Note prints a line.
func (p *Progress) Note(text string) { p.println(text) }

// Start begins the bar.
func (p *Progress) Start(first, last int, memory backend.Usage) {
	p.first, p.last, p.memory, p.began = first, last, memory, time.Now()
	p.latest = time.Time{}
}

// Step moves the bar.
func (p *Progress) Step(step int, r train.StepResult, rate float64) {
	if step == p.first {
		p.loss, p.rate = r.Loss, rate
	}
	p.loss += smoothing * (r.Loss - p.loss)
	p.rate += smoothing * (rate - p.rate)
	every := printEvery
	if p.columns != nil {
		every = drawEvery
	}
	if step != p.last && time.Since(p.latest) < every {
		return
	}
	if p.columns != nil {
		p.line(p.bar(step, p.columns()))
		return
	}
	p.latest = time.Now()
	fmt.Fprintf(p.W, "%s  %s\n", p.at(step), p.numbers(step))
}

// bar is the line of a terminal that is columns wide. It leaves room at its end
// for the ^C that the terminal shows.
func (p *Progress) bar(step, columns int) string {
	done := float64(step) / float64(max(p.last, 1))
	text := fmt.Sprintf("%s  %s", p.at(step), p.numbers(step))
	if room := min(columns-len(text)-6, 30); room >= 6 {
		n := int(done * float64(room-2))
		text = "[" + strings.Repeat("=", n) + strings.Repeat(" ", room-2-n) + "] " + text
	}
	return text[:max(min(len(text), columns-4), 0)]
}

// at names a step in as many columns as the last one.
func (p *Progress) at(step int) string {
	last := fmt.Sprint(p.last)
	return fmt.Sprintf("step %*d/%s", len(last), step, last)
}

// numbers describes how the run is going.
func (p *Progress) numbers(step int) string {
	left := time.Duration(float64(time.Since(p.began)) / float64(step-p.first+1) * float64(p.last-step))
	return fmt.Sprintf("loss %.3f  %s %s/s  ETA %s  %s", p.loss, Count(int64(p.rate)), p.Unit, left.Round(time.Second), Bytes(p.memory.Total))
}

// Evaluated prints an evaluation.
func (p *Progress) Evaluated(step int, val, trained train.Score, best bool) {
	line := p.at(step)
	if !math.IsNaN(val.Loss) {
		line += fmt.Sprintf("  validation loss %.4f  %s", val.Loss, p.quality(val))
	}
	if !math.IsNaN(trained.Loss) {
		line += fmt.Sprintf("  training %s %.4f", dataName[p.Unit], trained.Loss)
	}
	if best {
		line += "  best so far"
	}
	p.println(line)
}

// quality says what a score comes to beside its loss.
func (p *Progress) quality(s train.Score) string {
	if p.Unit == "images" {
		return fmt.Sprintf("accuracy %.2f%%", 100*s.Accuracy)
	}
	return fmt.Sprintf("perplexity %.2f", math.Exp(s.Loss))
}

// dataName is what samples of a unit are cut from.
var dataName = map[string]string{"tokens": "text", "images": "images"}

// Saved says nothing: checkpoints are as expected.
func (p *Progress) Saved(int, string) {}

// Sampled prints a sample of text.
func (p *Progress) Sampled(step int, text string) {
	p.println(fmt.Sprintf("%s  writes:\n%s", p.at(step), Indent(text)))
}

// println prints above the bar.
func (p *Progress) println(s string) {
	p.Clear()
	fmt.Fprintln(p.W, s)
}

// line draws s in the place of the bar.
func (p *Progress) line(s string) {
	p.latest, p.drawn = time.Now(), true
	fmt.Fprint(p.W, eraseLine+s)
}

// Clear removes the bar; the next one is drawn at once.
func (p *Progress) Clear() {
	if p.drawn {
		fmt.Fprint(p.W, eraseLine)
		p.drawn, p.latest = false, time.Time{}
	}
}

// Indent sets text, which may be any bytes, off from what is around it. What
// would move the cursor or change the terminal becomes U+FFFD.
func Indent(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
	return "  | " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  | ")
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
