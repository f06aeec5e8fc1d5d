package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	W         io.Writer // of all but notes; with --quiet, it discards
	Unit      string    // that speed is counted in: tokens or images
	EvalEvery int       // steps between evaluations, for the time that is left; 0: at the end only

	notes   io.Writer
	silent  bool       // but for notes
	columns func() int // width of the terminal; nil if W is none
	latest  time.Time  // line drawn
	drawn   bool       // a bar is on the screen

	began       time.Time
	first, last int     // steps
	loss, rate  float64 // smoothed
	clock       clock
	passes      float64 // over the data, of the whole run; 0: not known
}

// QuietFlag adds --quiet, which every NewProgress heeds.
func QuietFlag(f *pflag.FlagSet) {
	f.Bool(quiet, false, "print no progress, only warnings and results")
}

const quiet = "quiet"

// NewProgress returns the progress line of c, on its standard error.
func NewProgress(c *cobra.Command) *Progress {
	if silent, err := c.Flags().GetBool(quiet); err == nil && silent {
		return &Progress{W: io.Discard, notes: c.ErrOrStderr(), silent: true}
	}
	return newProgress(c.ErrOrStderr())
}

func newProgress(w io.Writer) *Progress {
	p := &Progress{W: w, notes: w, Unit: "tokens"}
	kind, set := os.LookupEnv("TERM")
	if animated(IsTerminal(w), kind, set) {
		p.columns = func() int { return terminalColumns(w) }
	}
	return p
}

// animated reports whether a bar is drawn: on terminals that understand escape sequences. A kind of terminal that is
// set but empty is a dumb one.
func animated(terminal bool, kind string, set bool) bool {
	return terminal && kind != "dumb" && (kind != "" || !set)
}

// Quiet reports whether notes alone are printed.
func (p *Progress) Quiet() bool { return p.silent }

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

// Note prints a line, with --quiet too.
func (p *Progress) Note(text string) {
	p.Clear()
	fmt.Fprintln(p.notes, text)
}

// Forecast tells the bar how long an evaluation takes, until it knows better, and how often the data are passed.
func (p *Progress) Forecast(f train.Forecast) {
	p.Clear()
	p.passes, p.clock.evaluation = f.Passes, f.EvalTime
}

// Start begins the bar.
func (p *Progress) Start(first, last int, _ backend.Usage) {
	p.first, p.last, p.began = first, last, time.Now()
	p.clock.start(p.began)
	p.latest = time.Time{}
}

// Evaluating says on the bar that a run is evaluated.
func (p *Progress) Evaluating(step int) {
	p.clock.evaluating(time.Now())
	if p.columns != nil {
		p.line(p.bar(step, p.columns(), "evaluating ..."))
	}
}

// Step moves the bar.
func (p *Progress) Step(step int, r train.StepResult, rate float64) {
	p.clock.step(time.Now())
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
		p.line(p.bar(step, p.columns(), p.numbers(step, r.LR)))
		return
	}
	p.latest = time.Now()
	fmt.Fprintf(p.W, "%s  %s\n", p.at(step), p.numbers(step, r.LR))
}

// bar is the line of a terminal that is columns wide. It leaves room at its end
// for the ^C that the terminal shows.
func (p *Progress) bar(step, columns int, what string) string {
	done := float64(step) / float64(max(p.last, 1))
	text := fmt.Sprintf("%s  %s", p.at(step), what)
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
func (p *Progress) numbers(step int, lr float64) string {
	text := fmt.Sprintf("loss %.3f  ", p.loss)
	if p.passes > 0 {
		text += fmt.Sprintf("pass %.3g  ", p.passes*float64(step)/float64(max(p.last, 1)))
	}
	left := p.clock.left(p.last-step, p.evaluations(step))
	return text + fmt.Sprintf("lr %.1e  %s %s/s  ETA %s", lr, Count(int64(p.rate)), p.Unit, left.Round(time.Second))
}

// evaluations is how many are to come after a step, its own included.
func (p *Progress) evaluations(step int) int {
	n := 1 // at the end
	if p.EvalEvery > 0 {
		n += max(0, (p.last-1)/p.EvalEvery-(step-1)/p.EvalEvery)
	}
	return n
}

// Evaluated prints an evaluation.
func (p *Progress) Evaluated(step int, val, trained train.Score, best bool) {
	p.clock.evaluated(time.Now())
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

// Warn prints what goes wrong beside the training, with --quiet too.
func (p *Progress) Warn(text string) { p.Note("warning: " + OneLine(errors.New(text))) }

// Rescued prints how a run goes on after a step that diverged.
func (p *Progress) Rescued(r train.Rescue) {
	line := fmt.Sprintf("%s  diverged and is left out, %d so far", p.at(r.Step), r.Skipped)
	if r.Action == train.RewindDiverged {
		line = fmt.Sprintf("%s  diverged; on from step %d at a learning rate of 1/%d", p.at(r.Step), r.To, 1<<r.Rewinds)
	}
	p.println(line + " (" + OneLine(r.Err) + ")")
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
