package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// Names inside a run directory; see docs/formats.md.
const (
	configFile = "bdia.yaml"
	dataDir    = "data"
	shardName  = "text"
	bestDir    = "best"

	promptTokens = 16 // that a sample continues
)

// Run is a run directory: a Hugging Face model folder with the configuration,
// the tokens and the training state beside it.
type Run struct {
	Dir       string
	Config    Config
	Tokenizer tokenizer.Tokenizer
	State     checkpoint.State

	tokens     *data.Shards
	train, val data.Tokens
}

// ErrExists is wrapped by Create's error for a folder that holds a run already.
var ErrExists = errors.New("folder holds a run already")

// Create prepares a new run in dir: it makes the tokenizer, encodes the text to
// token shards and saves the resolved configuration, whose vocabulary is then
// the tokenizer's. progress, if not nil, hears of the text read so far. A folder
// in which Create failed is no run: Create may be called on it again.
func Create(ctx context.Context, dir string, cfg Config, progress func(what string, done, total int64)) (*Run, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	src, err := OpenText(cfg.Data)
	if err != nil {
		return nil, err
	}
	unlock, err := checkpoint.Lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, configFile)); err == nil {
		return nil, fmt.Errorf("train: %s: %w; continue it with --resume, or choose another folder with --out", dir, ErrExists)
	}
	tok, err := makeTokenizer(ctx, cfg.Data, src, progress)
	if err != nil {
		return nil, err
	}
	cfg.Model.Vocab = tok.VocabSize()
	if err := cfg.Model.Validate(); err != nil {
		return nil, err
	}
	if err := encode(ctx, filepath.Join(dir, dataDir), src, tok, progress); err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Config: cfg, Tokenizer: tok, State: checkpoint.State{BestLoss: math.Inf(1), Seed: cfg.Loop.Seed}}
	if err := r.openTokens(); err != nil {
		return nil, err
	}
	if err := r.finish(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// finish completes a new run whose tokens are there. The files by which Open
// knows a run come last, when nothing else can fail.
func (r *Run) finish() error {
	if _, err := r.windows(); err != nil {
		return err
	}
	if err := r.Tokenizer.Save(r.Dir); err != nil {
		return err
	}
	return r.saveConfig()
}

// Open opens an existing run. Close it.
func Open(dir string) (*Run, error) {
	if err := checkpoint.Settle(dir); err != nil {
		return nil, err
	}
	cfg, err := readConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Config: cfg}
	if r.Tokenizer, err = tokenizer.Load(dir); err != nil {
		return nil, err
	}
	if n := r.Tokenizer.VocabSize(); n != cfg.Model.Vocab {
		return nil, fmt.Errorf("train: %s: the tokenizer has %d tokens, the model %d; they do not belong together", dir, n, cfg.Model.Vocab)
	}
	r.State, err = checkpoint.ReadState(filepath.Join(dir, checkpoint.StateFile))
	if errors.Is(err, os.ErrNotExist) { // stopped before the first checkpoint
		r.State, err = checkpoint.State{BestLoss: math.Inf(1), Seed: cfg.Loop.Seed}, nil
	}
	if err != nil {
		return nil, err
	}
	return r, r.openTokens()
}

// Reconfigure changes the settings of a run that goes on and saves them. It
// fails with checkpoint.ErrLocked while the run is being trained.
func (r *Run) Reconfigure(cfg Config) error {
	if cfg == r.Config {
		return nil
	}
	unlock, err := checkpoint.Lock(r.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	r.Config = cfg
	return r.saveConfig()
}

// Close lets go of the tokens.
func (r *Run) Close() error { return r.tokens.Close() }

// openTokens maps the token shards and cuts off the validation text.
func (r *Run) openTokens() (err error) {
	r.tokens, err = data.OpenShards(filepath.Join(r.Dir, dataDir), shardName,
		data.OpenOptions{VocabSize: r.Config.Model.Vocab, Fingerprint: fingerprint(r.Tokenizer)})
	if err != nil {
		return err
	}
	if r.train, r.val, err = data.Split(r.tokens, r.Config.Data.ValFraction); err != nil {
		r.tokens.Close()
		return err
	}
	return nil
}

// windows are the samples that a run is trained and evaluated on.
type windows struct {
	batches *data.Sampler
	val     *data.Sequential // nil where nothing is held out
	train   *data.Sequential // of training text; nil where it is not evaluated
}

// windows checks that the texts are long enough and cuts them.
func (r *Run) windows() (w windows, err error) {
	T, n := r.Config.Model.Context, r.Config.Loop.EvalSamples
	if w.batches, err = data.NewSampler(r.train, T, r.Config.Loop.Seed); err != nil {
		return w, fmt.Errorf("train: training text: %w", err)
	}
	if r.Config.Data.ValFraction > 0 {
		if w.val, err = data.NewSequential(r.val, T, n); err != nil {
			return w, fmt.Errorf("train: validation text: %w", err)
		}
	}
	if r.Config.Loop.EvalTrain {
		if w.train, err = data.NewSequential(r.train, T, n); err != nil {
			return w, fmt.Errorf("train: training text: %w", err)
		}
	}
	return w, nil
}

// TrainTokens returns the number of tokens of training text.
func (r *Run) TrainTokens() int64 { return r.train.Len() }

// Text returns the training text or the held-out text, which may be empty.
func (r *Run) Text(training bool) data.Tokens {
	if training {
		return r.train
	}
	return r.val
}

// BestDir is the model folder of the best weights so far.
func (r *Run) BestDir() string { return filepath.Join(r.Dir, bestDir) }

// Batch fills b, of the run's batch size, with the samples of a step.
func (r *Run) Batch(step int, b model.Batch) error {
	s, err := data.NewSampler(r.train, r.Config.Model.Context, r.Config.Loop.Seed)
	if err != nil {
		return err
	}
	return s.Batch(step, 0, b.Size, b.Inputs, b.Targets)
}

// Prompt returns the first tokens of the held-out text (of the training text,
// where nothing is held out): a start for samples.
func (r *Run) Prompt() ([]int32, error) {
	text := r.val
	if text.Len() == 0 {
		text = r.train
	}
	ids := make([]int32, min(promptTokens, text.Len()))
	return ids, text.Read(ids, 0)
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
	if d.Tokenizer == "char" {
		return tokenizer.NewChar(r)
	}
	return tokenizer.TrainBPE(ctx, r, tokenizer.TrainOptions{VocabSize: d.BPEVocab, Progress: func(done, total int) {
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
	if t, ok := tok.(interface{ EndOfText() (int32, bool) }); ok {
		if id, ok := t.EndOfText(); ok {
			o.Separator = []int32{id}
		}
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

// saveConfig writes bdia.yaml.
func (r *Run) saveConfig() error {
	text, err := yaml.Marshal(r.Config)
	if err != nil {
		return fmt.Errorf("train: %s: %w", configFile, err)
	}
	return checkpoint.Save(r.Dir, func(t *checkpoint.Txn) error {
		return writeFile(t, configFile, func(w io.Writer) error { _, err := w.Write(text); return err })
	})
}

// Bounds of a configuration file. The YAML library takes time and memory that
// grow with the square of the nesting, so brackets, which settings do not need,
// are counted before it sees the text.
const (
	maxConfig   = 1 << 14 // bytes
	maxBrackets = 32
)

// readConfig reads a complete configuration.
func readConfig(path string) (Config, error) {
	cfg := DefaultConfig()
	if err := ReadConfig(path, &cfg); err != nil {
		return cfg, err
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("train: %s: %w", path, err)
	}
	return cfg, nil
}

// ReadConfig sets the fields of cfg that the YAML file at path names. Unknown
// keys are errors. It does not validate.
func ReadConfig(path string, cfg *Config) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	if len(text) > maxConfig {
		return fmt.Errorf("train: %s is larger than %d bytes; is it a configuration?", path, maxConfig)
	}
	if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxBrackets {
		return fmt.Errorf("train: %s has more than %d brackets; is it a configuration?", path, maxBrackets)
	}
	read := *cfg
	if err := yaml.UnmarshalWithOptions(text, &read, yaml.Strict()); err != nil {
		return fmt.Errorf("train: %s: %s", path, yamlMessage(err))
	}
	if err := wholeNumbers(text); err != nil {
		return fmt.Errorf("train: %s: %w", path, err)
	}
	if read != (Config{}) { // what a file without settings makes of it
		*cfg = read
	}
	return nil
}

// wholeNumbers refuses fractions in settings that are whole numbers, for which
// the YAML library would cut them off. The text has been read once.
func wholeNumbers(text []byte) error {
	var sections map[string]map[string]any
	if err := yaml.Unmarshal(text, &sections); err != nil {
		return nil // not by section and key, so nothing was set
	}
	for _, section := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		for _, f := range reflect.VisibleFields(section.Type) {
			at, key := section.Tag.Get("yaml"), f.Tag.Get("yaml")
			v, ok := sections[at][key].(float64)
			if ok && kindName(f.Type) == "a whole number" && v != math.Trunc(v) {
				return fmt.Errorf("%s.%s is %v, not a whole number", at, key, v)
			}
		}
	}
	return nil
}

// yamlMessage is err as one line, without its picture of the source and without
// names of Go types.
func yamlMessage(err error) string {
	var wrong *yaml.TypeError
	var large *yaml.OverflowError
	switch {
	case errors.As(err, &wrong) && wrong.Token != nil:
		return fmt.Sprintf("[%d:%d] %q is not %s", wrong.Token.Position.Line, wrong.Token.Position.Column, wrong.Token.Value, kindName(wrong.DstType))
	case errors.As(err, &large) && large.Token != nil:
		return fmt.Sprintf("[%d:%d] %s is out of range", large.Token.Position.Line, large.Token.Position.Column, large.SrcNum)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// kindName names a type of setting for people.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct:
		return "a section of settings"
	}
	return "a text"
}

// saveBestTokenizer puts the tokenizer beside the best weights.
func (r *Run) saveBestTokenizer() error {
	dir := r.BestDir()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return r.Tokenizer.Save(dir)
}

// progressReader reports how much was read and stops when ctx is done.
type progressReader struct {
	r      io.Reader
	n      int64
	report func(n int64)
	ctx    context.Context
}

func (p *progressReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.n += int64(n)
	p.report(p.n)
	return n, err
}

// writeFile writes one file of a transaction.
func writeFile(t *checkpoint.Txn, name string, write func(io.Writer) error) error {
	w, err := t.Create(name)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}
