package cli

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/train"
)

// terminalProgress is a progress on a made-up terminal.
func terminalProgress(columns int) (*Progress, *bytes.Buffer) {
	var screen bytes.Buffer
	p := newProgress(&screen)
	p.columns = func() int { return columns }
	return p, &screen
}

func TestProgressLineFits(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{0, 1, 4, 10, 40, 60, 72, 80, 100, 200} {
		p, screen := terminalProgress(columns)
		p.Start(1, 100000, backend.Usage{Total: 123 << 30})
		p.began = time.Now().Add(-9 * time.Hour)
		for _, step := range []int{1, 50000, 100000} {
			p.latest = time.Time{}
			p.Step(step, train.StepResult{Loss: 1234.5678, LR: 1e-3}, 98765432)
		}
		for _, line := range strings.Split(screen.String(), eraseLine)[1:] {
			if len(line) > max(columns-4, 0) {
				t.Errorf("%d columns: a line of %d: %q", columns, len(line), line)
			}
			for _, want := range []string{"[", "step ", "loss 1234.568", "98,765,432 tokens/s", "lr 1.0e-03", "ETA "} {
				if columns >= 100 && !strings.Contains(line, want) {
					t.Errorf("%d columns: no %q in %q", columns, want, line)
				}
			}
		}
	}
}

func TestProgressOnTerminal(t *testing.T) {
	t.Parallel()
	p, screen := terminalProgress(100)
	p.Preparing("encoding", 1, 4)
	p.Preparing("encoding", 4, 4)
	p.Start(1, 4, backend.Usage{Total: 1 << 20})
	p.Step(1, train.StepResult{Loss: 2}, 100)
	p.Step(2, train.StepResult{Loss: 2}, 100) // too soon for another line
	p.Evaluated(2, train.Score{Loss: math.Log(8)}, train.Score{Loss: math.NaN()}, true)
	p.Step(3, train.StepResult{Loss: 2}, 100)
	p.Sampled(3, "two\nlines\x1b[2J\xff\n")
	p.Step(4, train.StepResult{Loss: 2}, 100)
	p.Clear()
	numbers := "  loss 2.000  lr 0.0e+00  100 tokens/s  ETA 0s"
	want := eraseLine + "encoding: 25%" + eraseLine +
		eraseLine + "[=======                     ] step 1/4" + numbers +
		eraseLine + "step 2/4  validation loss 2.0794  perplexity 8.00  best so far\n" +
		eraseLine + "[=====================       ] step 3/4" + numbers +
		eraseLine + "step 3/4  writes:\n  | two\n  | lines\ufffd[2J\ufffd\n" +
		eraseLine + "[============================] step 4/4" + numbers + eraseLine
	if diff := cmp.Diff(want, screen.String()); diff != "" {
		t.Error(diff)
	}
}

func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := newProgress(&log)
	p.Preparing("encoding", 1, 4)
	p.Preparing("encoding", 4, 4)
	p.Start(1, 40, backend.Usage{Total: 1 << 20})
	for step := 1; step <= 40; step++ {
		p.Step(step, train.StepResult{Loss: 3}, 1000)
	}
	p.Evaluated(40, train.Score{Loss: math.NaN()}, train.Score{Loss: 1.5}, false)
	want := "step  1/40  loss 3.000  lr 0.0e+00  1,000 tokens/s  ETA 0s\n" +
		"step 40/40  loss 3.000  lr 0.0e+00  1,000 tokens/s  ETA 0s\n" +
		"step 40/40  training text 1.5000\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Error(diff)
	}
}

// TestProgressOfLines: plain lines elsewhere than on a terminal, with the time
// left, where the end is known.
func TestProgressOfLines(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	p := newProgress(&b)
	p.Lines("translated", "sentences", 3, 0, time.Now().Add(-time.Hour))
	p.Lines("translated", "sentences", 3, 12, time.Now())
	p.Lines("translated", "sentences", 3, 12, time.Now().Add(-time.Hour))
	p.latest = time.Now().Add(-time.Minute)
	p.Lines("translated", "sentences", 3, 12, time.Now().Add(-30*time.Second))
	if got, want := b.String(), "translated 3 of 12 sentences  0.1/s  ETA 1m30s\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestQuietWarns: --quiet silences progress and no warning.
func TestQuietWarns(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	c := &cobra.Command{}
	QuietFlag(c.Flags())
	c.SetErr(&screen)
	if err := c.Flags().Set("quiet", "true"); err != nil {
		t.Fatal(err)
	}
	p := NewProgress(c)
	p.Start(1, 9, backend.Usage{})
	p.Warn("the disk is full")
	if got := screen.String(); got != "warning: the disk is full\n" {
		t.Errorf("prints %q", got)
	}
}
