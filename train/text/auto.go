package text

import (
	"math"

	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// AutoTokenizer as DataConfig.Tokenizer leaves the choice to Prepare: characters or a byte-level BPE, by the size of
// the text.
const AutoTokenizer = "auto"

// Assume closes what is open as it is without data: the nano model, characters, 2000 steps.
func (c *Config) Assume() {
	nano, _ := model.GPTPreset("nano")
	c.Data.closeTokenizer(tokenizer.KindChar, 4096)
	fillSizes(&c.Model, nano)
	train.Fill(&c.Model.Vocab, nano.Vocab)
	train.Fill(&c.Loop.Batch, train.FitBatch(16, c.Loop.MicroBatch))
	warmup, lr := 0.05, 1e-3
	if c.Tune.From != "" {
		warmup, lr = 0.025, 1e-4
	}
	c.Choose(train.Choice{LR: lr, Steps: 2000, Warmup: warmup, EvalEvery: 250})
}

// closeTokenizer chooses the kind of the tokenizer and the size of its vocabulary, where they are open.
func (d *DataConfig) closeTokenizer(kind string, vocab int) {
	if d.Tokenizer == AutoTokenizer {
		d.Tokenizer = kind
	}
	if d.Tokenizer == tokenizer.KindBPE {
		train.Fill(&d.BPEVocab, vocab)
	}
}

// fillSizes gives the open sizes of m the ones of a whole model, and heads that divide its width.
func fillSizes(m *model.GPTConfig, of model.GPTConfig) {
	train.Fill(&m.Context, of.Context)
	train.Fill(&m.Layers, of.Layers)
	train.Fill(&m.Width, of.Width)
	if m.Heads == 0 {
		m.Heads = heads(m.Width, max(1, of.Width/max(1, of.Heads)))
	}
}

// heads returns the number of heads of a width: as many as divide it and have at least so many channels.
func heads(width, channels int) int {
	n := max(1, width/channels)
	for width%n != 0 {
		n--
	}
	return n
}

// charBytes is the size of a text from which on it is read by a byte-level BPE: below, merges are seen too seldom.
const charBytes = 200_000

// chooseTokenizer closes the tokenizer for a text of so many bytes: above charBytes a BPE that has a token for about
// every 500 bytes, a power of two from 512 to 4096, or to 16384 if the model's sizes were named.
func (c *Config) chooseTokenizer(bytes int64) {
	kind := tokenizer.KindChar
	if bytes >= charBytes {
		kind = tokenizer.KindBPE
	}
	vocab, most := 512, 4096
	if c.sized() {
		most = 16384
	}
	for vocab < most && int64(vocab)*2*500 <= bytes {
		vocab *= 2
	}
	c.Data.closeTokenizer(kind, vocab)
}

// Bounds of a vocabulary of open size.
const (
	leastVocab = 257 // bytes, and the end-of-text token
	timesUsed  = 50  // that a token of a BPE is used on average, at least; it is 150 and more in ordinary text
)

// repeats reports a text that the BPE of open size has joined to so few tokens that they are seen too seldom: a line
// that comes thousands of times, for example.
func (d DataConfig) repeats(tokens int64, tok tokenizer.Tokenizer) bool {
	n := tok.VocabSize()
	open := d.BPEVocab == 0 && (d.Tokenizer == AutoTokenizer || d.Tokenizer == tokenizer.KindBPE)
	return open && tok.Kind() == tokenizer.KindBPE && n > leastVocab && tokens < timesUsed*int64(n)
}

// sizes are the models of texts: the last one that a text has enough tokens for. Wider ones would learn less within
// smallWork.
var sizes = []struct {
	tokens int64 // at least
	model.GPTConfig
}{
	{0, model.GPTConfig{Context: 64, Layers: 4, Heads: 2, Width: 64}},
	{50_000, model.GPTConfig{Context: 128, Layers: 4, Heads: 4, Width: 128}},
}

// sizeFor returns the model of a text of so many tokens.
func sizeFor(tokens int64) (m model.GPTConfig) {
	for _, s := range sizes {
		if tokens >= s.tokens {
			m = s.GPTConfig
		}
	}
	return m
}

// The limits of a run of open length: parameters times tokens. Two processor cores do smallWork in some ten to twenty
// minutes, namedWork, for a model with sizes that were named, in an hour or more. They are no times, so that a run is
// the same on every machine.
const (
	smallWork = 2e13
	namedWork = 1e14
)

// sized reports a model with sizes that were named, or are the ones of a trained model.
func (c *Config) sized() bool { return c.Model.Layers != 0 || c.Model.Width != 0 }

// choose closes what the data decide: the text has so many tokens to train on.
func (c *Config) choose(tokens int64) {
	tuned, work := c.Tune.From != "", smallWork
	if c.sized() {
		work = namedWork
	}
	if !tuned {
		fillSizes(&c.Model, sizeFor(tokens))
	}
	T := c.SampleLength()
	if c.Loop.Batch == 0 {
		c.Loop.Batch = train.FitBatch(batchFor(tokens, T), c.Loop.MicroBatch)
	}
	step := float64(c.Loop.Batch * T)
	passes := c.Data.Epochs
	if passes == 0 && c.Schedule.Steps == 0 {
		passes = c.passes(tokens, work)
		c.Data.Epochs = passes
	}
	if passes > 0 {
		c.Schedule.Steps = int(max(1, math.Ceil(passes*float64(tokens)/step)))
	}
	d := train.Choice{Warmup: 0.05, EvalEvery: train.Evaluations(c.Schedule.Steps, 20), Patience: 5, Pass: int(math.Ceil(float64(tokens) / step))}
	switch {
	case !tuned:
		d.LR = train.Readable(min(2e-3, 0.4/float64(c.Model.Width)))
	default:
		d.LR, d.Clip = tune.Rate(c.Model.Width, c.Tune.LoRA.Rank > 0, tokens), tune.Clip(c.Tune.LoRA.Rank > 0)
	}
	c.Choose(d)
}

// batchFor returns the samples of a batch: 4096 tokens, fewer for a short text, of which a pass then has some 20 steps.
func batchFor(tokens int64, T int) int {
	n := min(4096, tokens/20)
	return int(max(4, n/int64(T)))
}

// passes returns how often a run of open length goes through so many tokens, with a limit of its work.
func (c *Config) passes(tokens int64, work float64) float64 {
	most, n := 20.0, float64(tokens)
	if c.Tune.From != "" {
		most = tune.Passes(tokens)
	}
	step := float64(c.Loop.Batch * c.SampleLength())
	p := min(most, work/(parameters(c.Model)*n))
	p = max(p, 200*step/n)
	return train.Readable(p)
}

// parameters are about the parameters of m.
func parameters(m model.GPTConfig) float64 {
	w, mlp, rows := float64(m.Width), 2*m.MLPWidth(), m.Vocab+m.Context
	if m.Family != model.GPT2 {
		mlp, rows = 3*m.MLPWidth(), m.Vocab
	}
	return float64(m.Layers)*w*(4*w+float64(mlp)) + float64(rows)*w
}
