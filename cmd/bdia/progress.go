package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/train"
)

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress is the train.Observer of the command line: one line with a bar on a
// terminal, a plain line now and then elsewhere.
type progress struct {
	w      io.Writer
	bar    *progressbar.ProgressBar // nil where w is no terminal
	every  time.Duration            // between plain lines
	latest time.Time
	first  int
	last   int
	memory backend.Usage
	began  time.Time
	smooth float64 // loss, smoothed over some steps
	val    float64
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, every: 5 * time.Second, val: math.NaN()}
}

// preparing reports reading and encoding the text; it has the type that
// train.Create wants.
func (p *progress) preparing(what string, done, total int64) {
	if done < total && time.Since(p.latest) < time.Second {
		return
	}
	if p.latest.IsZero() && done >= total { // too short to be worth a line
		return
	}
	p.latest = time.Now()
	if isTerminal(p.w) {
		fmt.Fprintf(p.w, "\r\033[K%s: %d%%", what, 100*done/max(total, 1))
		if done >= total {
			fmt.Fprint(p.w, "\r\033[K")
		}
		return
	}
	fmt.Fprintf(p.w, "%s: %d%%\n", what, 100*done/max(total, 1))
}

// Start begins the bar.
func (p *progress) Start(first, last int, memory backend.Usage) {
	p.first, p.last, p.memory, p.began, p.latest = first, last, memory, time.Now(), time.Now()
	if isTerminal(p.w) {
		p.bar = progressbar.NewOptions(last,
			progressbar.OptionSetWriter(p.w), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(24), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
		_ = p.bar.Set(first - 1)
	}
}

// Step moves the bar.
func (p *progress) Step(step int, r train.StepResult, rate float64) {
	if step == p.first {
		p.smooth = r.Loss
	}
	p.smooth += 0.1 * (r.Loss - p.smooth)
	if p.bar != nil {
		p.bar.Describe(p.describe(rate))
		_ = p.bar.Set(step)
		return
	}
	if step != p.last && step != p.first && time.Since(p.latest) < p.every {
		return
	}
	p.latest = time.Now()
	left := time.Since(p.began) / time.Duration(step-p.first+1) * time.Duration(p.last-step)
	fmt.Fprintf(p.w, "step %d/%d  %s  ETA %s\n", step, p.last, p.describe(rate), left.Round(time.Second))
}

func (p *progress) describe(rate float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "loss %.3f", p.smooth)
	if !math.IsNaN(p.val) {
		fmt.Fprintf(&b, "  val %.3f", p.val)
	}
	fmt.Fprintf(&b, "  %s tokens/s  %s", countText(int64(rate)), bytesText(p.memory.Total))
	return b.String()
}

// Evaluated prints an evaluation.
func (p *progress) Evaluated(step int, val, trainLoss float64, best bool) {
	p.val = val
	line := fmt.Sprintf("step %d: validation loss %.4f (perplexity %.2f)", step, val, math.Exp(val))
	if math.IsNaN(val) {
		line = fmt.Sprintf("step %d:", step)
	}
	if !math.IsNaN(trainLoss) {
		line += fmt.Sprintf("  training text %.4f", trainLoss)
	}
	if best {
		line += "  best so far"
	}
	p.println(line)
}

// Saved says nothing: checkpoints are as expected.
func (p *progress) Saved(int, string) {}

// Sampled prints a sample of text.
func (p *progress) Sampled(step int, text string) {
	p.println(fmt.Sprintf("step %d writes:\n%s", step, indent(text)))
}

// println prints above the bar.
func (p *progress) println(s string) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintln(p.w, s)
}

// done removes the bar.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

func indent(text string) string {
	return "  | " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  | ")
}
