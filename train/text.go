package train

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

const (
	dataDir   = "data"
	shardName = "text"

	promptTokens = 16 // that a sample of text continues
)

// DataConfig says which text is trained on.
type DataConfig struct {
	Path        string  `yaml:"path"`           // file or folder of text; "go" is the Go source of this machine
	Extensions  string  `yaml:"extensions"`     // endings to take of a folder, such as ".go,.md"; empty takes all text
	Tokenizer   string  `yaml:"tokenizer"`      // char, bpe, or a folder with tokenizer files
	BPEVocab    int     `yaml:"bpe_vocab"`      // vocabulary of a bpe tokenizer trained on the data
	Special     bool    `yaml:"special_tokens"` // the spelling of a special token in the text stands for it
	MaxBytes    int64   `yaml:"max_bytes"`      // use so many bytes of the text; 0 all
	ValFraction float64 `yaml:"val_fraction"`   // share of the tokens, at the end, kept for validation
}

// Validate reports the first setting that cannot be.
func (d DataConfig) Validate() error {
	switch {
	case !(d.ValFraction >= 0 && d.ValFraction < 1):
		return fmt.Errorf("train: validation fraction is %v; it must be at least 0 and below 1", d.ValFraction)
	case d.MaxBytes < 0:
		return fmt.Errorf("train: %d bytes of text; give a positive number, or 0 for all", d.MaxBytes)
	}
	return validateTokenizer(d.Tokenizer, d.BPEVocab)
}

// validateTokenizer reports what no tokenizer can be made of.
func validateTokenizer(name string, vocab int) error {
	switch {
	case name == "":
		return fmt.Errorf("train: no tokenizer; use char, bpe or a folder with tokenizer files")
	case name == "bpe" && vocab < 257:
		return fmt.Errorf("train: a BPE vocabulary of %d is too small; 256 bytes and the end-of-text token need 257", vocab)
	}
	return nil
}

// Text is the text of a run as tokens, cut into what is trained on and what is
// held out.
type Text struct {
	Tokenizer tokenizer.Tokenizer

	shards     *data.Shards
	train, val data.Tokens
}

// createText makes the tokenizer, encodes the text to token shards in dir and
// sets the vocabulary of cfg.
func createText(ctx context.Context, dir string, cfg *Config, progress func(what string, done, total int64)) (*Text, error) {
	src, err := OpenText(cfg.Data)
	if err != nil {
		return nil, err
	}
	tok, err := makeTokenizer(ctx, cfg.Data, src, progress)
	if err != nil {
		return nil, err
	}
	if cfg.Tune.From == "" {
		cfg.Model.Vocab = tok.VocabSize()
	}
	if err := firstOf(cfg.Model.Validate(), cfg.belongs(tok, cfg.Data.Tokenizer), cfg.Absolute()); err != nil {
		return nil, err
	}
	if err := encode(ctx, filepath.Join(dir, dataDir), src, cfg.Data.reader(tok), progress); err != nil {
		return nil, err
	}
	t := &Text{Tokenizer: tok}
	if err := t.open(dir, *cfg); err != nil {
		return nil, err
	}
	if _, err := t.windows(*cfg); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// openText opens the tokenizer and the tokens of the run in dir.
func openText(dir string, cfg Config) (*Text, error) {
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	if err := cfg.belongs(tok, dir); err != nil {
		return nil, err
	}
	t := &Text{Tokenizer: tok}
	return t, t.open(dir, cfg)
}

// belongs reports a tokenizer, in dir, that is not the model's. That of a model which
// has learned elsewhere may have fewer tokens than the model.
func (c Config) belongs(tok tokenizer.Tokenizer, dir string) error {
	if n := tok.VocabSize(); n > c.Model.Vocab || n < c.Model.Vocab && c.Tune.From == "" {
		return fmt.Errorf("train: %s: the tokenizer has %d tokens, the model %d; they do not belong together", dir, n, c.Model.Vocab)
	}
	return nil
}

// open maps the token shards and cuts off the validation text.
func (t *Text) open(dir string, cfg Config) (err error) {
	t.shards, err = data.OpenShards(filepath.Join(dir, dataDir), shardName,
		data.OpenOptions{VocabSize: t.Tokenizer.VocabSize(), Fingerprint: fingerprint(t.Tokenizer)})
	if err != nil {
		return err
	}
	if t.train, t.val, err = data.Split(t.shards, cfg.Data.ValFraction); err != nil {
		t.shards.Close()
	}
	return err
}

// Open does nothing: the tokens are open.
func (t *Text) Open(context.Context, func(string, int64, int64)) error { return nil }

// Close lets go of the tokens.
func (t *Text) Close() error { return t.shards.Close() }

// save writes the tokenizer's files.
func (t *Text) save(dir string) error { return t.Tokenizer.Save(dir) }

// Tokens returns the training text or the held-out text, which may be empty.
func (t *Text) Tokens(training bool) data.Tokens {
	if training {
		return t.train
	}
	return t.val
}

// Batch fills b with the first samples of a step of cfg.
func (t *Text) Batch(cfg Config, step int, b model.Batch) error {
	s, err := data.NewSampler(t.train, cfg.Window(), cfg.Loop.Seed)
	if err != nil {
		return err
	}
	return s.Batch(step, 0, b.Size, b.Inputs, b.Targets)
}

// Prompt returns the first tokens of the held-out text (of the training text,
// where nothing is held out): a start for samples.
func (t *Text) Prompt() ([]int32, error) {
	text := t.val
	if text.Len() == 0 {
		text = t.train
	}
	ids := make([]int32, min(promptTokens, text.Len()))
	return ids, text.Read(ids, 0)
}

// windows are the samples that a run is trained and evaluated on.
type windows struct {
	batches tokenSource
	val     *data.Sequential // nil where nothing is held out
	train   *data.Sequential // of training text; nil where it is not evaluated
}

// windows checks that the texts are long enough and cuts them.
func (t *Text) windows(cfg Config) (w windows, err error) {
	T, n := cfg.Window(), cfg.Loop.EvalSamples
	if w.batches, err = data.NewSampler(t.train, T, cfg.Loop.Seed); err != nil {
		return w, fmt.Errorf("train: training text: %w", err)
	}
	if cfg.Data.ValFraction > 0 {
		if w.val, err = data.NewSequential(t.val, T, n); err != nil {
			return w, fmt.Errorf("train: validation text: %w", err)
		}
	}
	if cfg.Loop.EvalTrain {
		if w.train, err = data.NewSequential(t.train, T, n); err != nil {
			return w, fmt.Errorf("train: training text: %w", err)
		}
	}
	return w, nil
}

// reader returns tok as it reads the text. In a text to learn from, unlike in a
// prompt, a special token is ordinary text as long as nobody says otherwise: a
// manual of language models, or the source of this program, must not be cut
// where it names one.
func (d DataConfig) reader(tok tokenizer.Tokenizer) tokenizer.Tokenizer {
	if d.Special {
		return tok
	}
	return tokenizer.Raw(tok)
}

// OpenText lists the text that d names.
func OpenText(d DataConfig) (*data.Source, error) {
	if d.Path == "" {
		return nil, fmt.Errorf("train: no text; name a file or folder with --data")
	}
	if d.Path == "go" {
		if _, err := os.Stat("go"); err != nil {
			return data.GoSource(d.MaxBytes)
		}
	}
	var extensions []string
	if d.Extensions != "" {
		extensions = strings.Split(d.Extensions, ",")
	}
	return data.Open(d.Path, data.SourceOptions{Extensions: extensions, MaxBytes: d.MaxBytes})
}

// makeTokenizer makes the tokenizer that d asks for, from the text where it has
// to be trained.
func makeTokenizer(ctx context.Context, d DataConfig, src *data.Source, progress func(string, int64, int64)) (tokenizer.Tokenizer, error) {
	if d.Tokenizer != "char" && d.Tokenizer != "bpe" {
		return tokenizer.Load(d.Tokenizer)
	}
	text := src.Reader()
	defer text.Close()
	r := &progressReader{r: text, report: func(n int64) { progress("reading the vocabulary", n, src.Bytes()) }, ctx: ctx}
	return learnTokenizer(ctx, d.Tokenizer, d.BPEVocab, r, progress)
}

// learnTokenizer makes a tokenizer of a kind, char or bpe, of text.
func learnTokenizer(ctx context.Context, kind string, vocab int, text io.Reader, progress func(string, int64, int64)) (tokenizer.Tokenizer, error) {
	if kind == "char" {
		return tokenizer.NewChar(text)
	}
	return tokenizer.TrainBPE(ctx, text, tokenizer.TrainOptions{VocabSize: vocab, Progress: func(done, total int) {
		progress("learning merges", int64(done), int64(total))
	}})
}

// encode writes the text as token shards, files separated by the end-of-text
// token where the tokenizer has one.
func encode(ctx context.Context, dir string, src *data.Source, tok tokenizer.Tokenizer, progress func(string, int64, int64)) error {
	w, err := data.CreateShards(dir, shardName, data.ShardOptions{VocabSize: tok.VocabSize(), Fingerprint: fingerprint(tok)})
	if err != nil {
		return err
	}
	defer w.Abort()
	o := data.EncodeOptions{Progress: func(n int64) { progress("encoding", n, src.Bytes()) }}
	if id, ok := tokenizer.EndOfText(tok); ok {
		o.Separator = []int32{id}
	}
	if err := src.Encode(tok, o, func(ids []int32) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.Write(ids)
	}); err != nil {
		return err
	}
	return w.Close()
}

// fingerprint tells tokenizers apart by what they decode.
func fingerprint(tok tokenizer.Tokenizer) (sum [32]byte) {
	h := sha256.New()
	fmt.Fprintln(h, tok.Kind(), tok.VocabSize())
	for id := range int32(tok.VocabSize()) {
		text, _ := tok.Decode([]int32{id})
		fmt.Fprintf(h, "%d %q\n", id, text)
	}
	copy(sum[:], h.Sum(nil))
	return sum
}

// progressReader reports how much was read and stops when ctx is done.
type progressReader struct {
	r      io.Reader
	n      int64
	report func(n int64)
	ctx    context.Context
	failed error // that ended the reading; nil at the end of the text
}

func (p *progressReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if err != io.EOF {
		p.failed = err
	}
	p.n += int64(n)
	p.report(p.n)
	return n, err
}
