package text

import (
	"math"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// TestTokenizerBySize: characters of little text, and of more a BPE with a vocabulary that grows with it.
func TestTokenizerBySize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bytes int64
		kind  string
		vocab int
	}{{100, "char", 0}, {199_999, "char", 0}, {200_000, "bpe", 512}, {1_115_394, "bpe", 2048}, {4_000_000, "bpe", 4096}, {1 << 40, "bpe", 4096}} {
		of := Default()
		of.chooseTokenizer(c.bytes)
		if d := of.Data; d.Tokenizer != c.kind || d.BPEVocab != c.vocab {
			t.Errorf("%d bytes: %s of %d, want %s of %d", c.bytes, d.Tokenizer, d.BPEVocab, c.kind, c.vocab)
		}
	}
	named := Default()
	named.Data = DataConfig{Tokenizer: "bpe", BPEVocab: 300}
	named.chooseTokenizer(1 << 30)
	if n := named.Data.BPEVocab; n != 300 {
		t.Errorf("a vocabulary of 300 became %d", n)
	}
	named = Default()
	named.Model.Layers = 12
	named.chooseTokenizer(1 << 40)
	if n := named.Data.BPEVocab; n != 16384 {
		t.Errorf("a vocabulary of %d for a large model", n)
	}
}

// TestChosen: every length of text gets a run that has enough steps to learn, in bounded work, and what is set stays.
func TestChosen(t *testing.T) {
	t.Parallel()
	for _, tokens := range []int64{300, 10_000, 70_000, 400_000, 5_000_000, 1 << 32} {
		c := Default()
		c.Model.Vocab = 1024
		c.choose(tokens)
		c.Data.closeTokenizer("char", 0)
		if err := train.Settled(New(c)); err != nil {
			t.Errorf("%d tokens: %v", tokens, err)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%d tokens: %v", tokens, err)
		}
		s, l := c.Schedule, c.Loop
		if s.Steps < 150 || s.Warmup*10 > s.Steps || s.Warmup < 1 || l.EvalEvery*30 < s.Steps || l.EvalEvery*10 > s.Steps {
			t.Errorf("%d tokens: %+v, evaluations every %d", tokens, s, l.EvalEvery)
		}
		if done := parameters(c.Model) * float64(s.Steps*l.Batch*c.Model.Context); done > 1.5*smallWork {
			t.Errorf("%d tokens: work of %.3g", tokens, done)
		}
	}
	c := Default()
	c.Model.Vocab, c.Model.Layers, c.Model.Width = 100, 3, 40
	c.Schedule.LR, c.Schedule.Steps, c.Loop.Batch, c.Loop.Patience = 0.01, 77, 5, 0
	was := c
	c.choose(100_000)
	if c.Model.Layers != 3 || c.Model.Width != 40 || c.Model.Width%c.Model.Heads != 0 || c.Data.Epochs != 0 ||
		c.Schedule.LR != was.Schedule.LR || c.Schedule.Steps != 77 || c.Loop.Batch != 5 || c.Loop.Patience != 0 {
		t.Errorf("%+v became %+v", was, c)
	}
	c = Default()
	c.Data.Epochs = 2
	c.choose(100_000)
	if step := c.Loop.Batch * c.Model.Context; c.Schedule.Steps != (200_000+step-1)/step {
		t.Errorf("2 epochs of 100,000 tokens are %d steps of %d", c.Schedule.Steps, step)
	}
	for _, c := range []struct {
		epochs float64
		runs   float64 // that the ramp of gamma takes
	}{{2, 6}, {12, 1}, {30, 1}} {
		tuned := DefaultTuned()
		tuned.Tune.From, tuned.Data.Epochs, tuned.Model = "elsewhere", c.epochs, sizeFor(100_000)
		tuned.choose(100_000)
		if steps, ramp := tuned.Schedule.Steps, tuned.Method.Ramp; ramp.From != 0.125 || math.Abs(float64(ramp.Steps)-c.runs*float64(steps)) > 12 {
			t.Errorf("%v epochs: a ramp of %d steps in a run of %d, want %v runs", c.epochs, ramp.Steps, steps, c.runs)
		}
	}
	c = Default()
	c.Loop.MicroBatch = 3
	c.choose(100_000)
	if c.Loop.Batch%3 != 0 {
		t.Errorf("a batch of %d in micro-batches of 3", c.Loop.Batch)
	}
}

// TestRepetitive: a text above the bounds of a BPE that repeats itself is read in small tokens, and long enough.
func TestRepetitive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, tokenizer string
		kind                  string
		vocab                 int
	}{
		{"one letter", strings.Repeat("a", 210_000), AutoTokenizer, tokenizer.KindChar, 1},
		{"a long word a line", strings.Repeat(strings.Repeat("chorus", 60)+"\n", 600), AutoTokenizer, tokenizer.KindChar, 7},
		{"and a BPE was asked for", strings.Repeat("a", 210_000), tokenizer.KindBPE, tokenizer.KindBPE, 257},
		{"a sentence a line", strings.Repeat("The same sentence, every time.\n", 7_000), AutoTokenizer, tokenizer.KindBPE, 0},
	} {
		of := Default()
		of.Data.Path, of.Data.Tokenizer = traintest.TextFile(t, c.text), c.tokenizer
		task := New(of)
		if err := task.Prepare(t.Context(), t.TempDir(), func(string, int64, int64) {}); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		tok := task.Tokenizer
		if d := task.Settings.Data; tok.Kind() != c.kind || d.Tokenizer != c.kind || c.vocab > 0 && tok.VocabSize() != c.vocab {
			t.Errorf("%s: a %s of %d, settings %+v", c.name, tok.Kind(), tok.VocabSize(), d)
		}
		p, err := task.Picture(1)
		if said := strings.Contains(strings.Join(p.Notes, " "), "repeats itself"); err != nil || said != (c.vocab > 0) {
			t.Errorf("%s: %v, %q", c.name, err, p.Notes)
		}
		if err := task.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRate: wide models learn at a lower rate, and narrow ones at 2e-3 at most: at 3e-3 some seeds start badly and stay
// behind for the whole run.
func TestRate(t *testing.T) {
	t.Parallel()
	for width, want := range map[int]float64{64: 2e-3, 128: 2e-3, 384: 1e-3, 768: 5.2e-4} {
		c := Default()
		c.Model.Vocab, c.Model.Layers, c.Model.Width = 100, 4, width
		c.choose(100_000)
		if got := c.Schedule.LR; got != want {
			t.Errorf("width %d learns at %v, want %v", width, got, want)
		}
	}
}
