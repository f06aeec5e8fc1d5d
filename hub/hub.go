// Package hub opens model folders: what a run of bdia writes, and folders of Hugging
// Face's and timm's files. Open reads the description of a folder; its methods GPT, ViT
// and Seq2Seq make a working model of it, in memory that is exactly large enough.
//
//	folder, err := hub.Open("runs/shakespeare", hub.Options{Best: true})
//	...
//	m, err := folder.GPT(backend.Options{}, func(m *model.GPT) error { return generate.Rehearse(m, 100, o) })
//	...
//	defer m.Close()
//
// The package needs neither YAML nor plots, so a program that only uses models stays small.
package hub

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// Options say which model of a folder is opened, and what it must have.
type Options struct {
	Kind    convert.Kind // what the folder must hold (convert.KindError); empty: any of them
	Best    bool         // the best weights of a run, not the latest
	Adapter string       // folder of a LoRA adapter in PEFT's files, of a language model; empty: none
	// WithoutText takes a language model without tokenizer files; Folder.Tokenizer is then nil.
	WithoutText bool
	// Float32 has a language model hold its weights in float32 always, and on a device of that precision adapters merged,
	// for a caller that changes or saves them.
	Float32 bool
}

// Folder describes a model folder: everything but the weights.
type Folder struct {
	Dir  string       // the folder with config.json; with Options.Best the folder of the best weights
	Run  string       // the run directory that Dir is, or is the best/ or an older checkpoint of; empty: Dir is no run's
	Kind convert.Kind // of the model
	// Grid is the grid of the run's activations, bdia.NoGrid for a folder of other software.
	Grid bdia.Grid
	// Precision is the precision of the run's matrix products, float32 for a folder of other software. A device that is to
	// compute as the run did has it in its options.
	Precision backend.Precision

	GPTInfo     convert.GPTInfo     // of a language model; End is the tokenizer's, if there is a tokenizer, and one of Ends
	ViTInfo     convert.ViTInfo     // of a vision transformer
	Seq2SeqInfo convert.Seq2SeqInfo // of an encoder-decoder

	// Generation are the keys of a language model's generation_config.json.
	Generation map[string]json.RawMessage

	Tokenizer      tokenizer.Tokenizer // of a language model
	Source, Target tokenizer.Tokenizer // of an encoder-decoder; the same if the languages share one

	// Separator stands between a prompt and its completion, in a run that learned such pairs; else it is nil.
	Separator *string
	// Chat is the chat template by which a run learned prompts, as a user's first message; else it is nil. The token that
	// ends an answer is one of GPTInfo.Ends.
	Chat *chat.Template

	// Weights is the folder of the weights: Dir, or the folder of the model that the adapters in Dir belong to.
	Weights string
	// Adapter is the folder of the adapters of the weights: Options.Adapter, or Dir; empty: there are none.
	Adapter string

	// Float32 is Options.Float32. Without it, a language model holds matrices that are all BF16 so, in half the memory, and
	// computes the same bits. Adapters stay beside them.
	Float32 bool

	// Notes tell of text files that are not as they were written, edited by hand or damaged, and of tokens outside the
	// vocabulary that begin or end a text by them.
	Notes []string
}

var (
	// ErrNoModel is wrapped by the error for a folder without config.json.
	ErrNoModel = errors.New("holds no model")
	// ErrNoRun is wrapped by the error for the best weights of a folder that is no run directory.
	ErrNoRun = errors.New("is no run directory")
	// ErrNoBest is wrapped by the error for a run without best weights.
	ErrNoBest = errors.New("has no best weights")
	// ErrMismatch is wrapped by the error for weights or tokenizers of another model than config.json describes.
	ErrMismatch = errors.New("they do not belong together")
)

// Open reads the description of the model folder that Find finds: a run directory, its best/ folder, a
// LoRA adapter beside another model, or a folder of Hugging Face's or timm's files. A
// checkpoint that was interrupted is settled first. Weights stay on the disk, though the
// base weights of a run's adapters are read once, to see that they have not changed
// (ErrBase).
func Open(dir string, o Options) (*Folder, error) {
	dir, err := Find(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir, Run: RunOf(dir), Float32: o.Float32}
	if o.Best {
		if f.Run == "" {
			return nil, fmt.Errorf("%s %w: it has no %s", dir, ErrNoRun, RunFile)
		}
		if f.Dir, err = BestOf(f.Run); err != nil {
			return nil, err
		}
	}
	home := f.Run
	if home == "" {
		home = dir
	}
	if err := checkpoint.Settle(home); err != nil {
		return nil, err
	}
	// A damaged file may not be read, or describe another model: that it is damaged says more.
	describe := f.describe(o)
	if err := cmp.Or(f.compareBeside(), describe); err != nil {
		return nil, err
	}
	run, err := ReadSettings(f.Run)
	if err != nil {
		return nil, err
	}
	f.Grid, f.Precision = run.Grid, run.Precision
	if run.Task == completion && !run.Template {
		f.Separator = &run.Separator
	}
	if run.Task == completion && run.Template && f.Tokenizer != nil {
		err = f.openChat()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// openChat reads the chat template.
func (f *Folder) openChat() (err error) {
	if f.Chat, err = chat.New(f.Tokenizer); err != nil {
		return fmt.Errorf("%s: %w", f.Dir, err)
	}
	if end := f.Chat.End(); !slices.Contains(f.GPTInfo.Ends, end) {
		f.GPTInfo.Ends = append(f.GPTInfo.Ends, end)
	}
	return nil
}

// describe reads config.json, the adapters' description and the tokenizers.
func (f *Folder) describe(o Options) (err error) {
	if f.Kind = o.Kind; f.Kind == "" {
		f.Kind, err = convert.KindOf(f.Dir)
	}
	f.Weights = f.Dir
	switch {
	case err != nil:
	case f.Kind != convert.GPT && o.Adapter != "":
		return fmt.Errorf("%s: %w", f.Dir, &convert.KindError{Have: f.Kind, Want: convert.GPT})
	case f.Kind == convert.ViT:
		f.ViTInfo, err = convert.ReadViTConfig(f.Dir)
	case f.Kind == convert.Seq2Seq:
		f.Seq2SeqInfo, err = convert.ReadSeq2SeqConfig(f.path(configFile))
	default:
		if f.GPTInfo, err = convert.ReadGPTInfo(f.path(configFile)); err == nil {
			f.Generation, err = convert.ReadOthers(f.Dir, &f.GPTInfo)
			f.Notes = append(f.Notes, f.GPTInfo.Outside...)
		}
	}
	if errors.Is(err, fs.ErrNotExist) && !has(f.Dir, configFile) {
		e := &NoModelError{Path: f.Dir, Reason: configFile + " is missing"}
		if f.Run != "" && !has(f.Dir, weightsFile) && !has(f.Dir, convert.AdapterFile) {
			e.Run, e.Reason = true, "the run stopped before its first checkpoint"
		}
		return e
	}
	if err != nil {
		return err
	}
	switch f.Kind {
	case convert.GPT:
		return f.describeGPT(o)
	case convert.Seq2Seq:
		f.Source, f.Target, err = TokenizersOf(f.Dir, f.Seq2SeqInfo.Config)
	}
	return err
}

// describeGPT reads the adapters' description and the tokenizer of a language model.
func (f *Folder) describeGPT(o Options) (err error) {
	if o.Adapter != "" && !has(f.Dir, convert.AdapterConfigFile) { // else it is a second one
		if o.Adapter, err = findAdapter(o.Adapter); err != nil {
			return err
		}
	}
	if f.Weights, f.Adapter, err = weightsOf(f.Dir, o.Adapter); err != nil {
		return err
	}
	f.Tokenizer, err = tokenizer.Load(f.Dir)
	if err != nil {
		if o.WithoutText && errors.Is(err, tokenizer.ErrNotFound) {
			return nil
		}
		return err
	}
	n, vocab := f.Tokenizer.VocabSize(), f.GPTInfo.Config.Vocab
	if f.Tokenizer, err = tokenizer.Limit(f.Tokenizer, vocab); err != nil {
		return fmt.Errorf("%s: the tokenizer has %d tokens, the model only %d (vocab_size in config.json); %w: put the tokenizer's files of this model there", f.Dir, n, vocab, ErrMismatch)
	}
	end := tokenizer.EndID(f.Tokenizer)
	if end != nil || f.GPTInfo.Config.Family == model.GPT2 {
		f.GPTInfo.End = end
	}
	if end != nil { // the first of all
		f.GPTInfo.Ends = slices.Insert(slices.DeleteFunc(f.GPTInfo.Ends, func(id int32) bool { return id == *end }), 0, *end)
	}
	return nil
}

// path is the path of a file in the folder.
func (f *Folder) path(name string) string { return filepath.Join(f.Dir, name) }

// Names inside a model folder.
const (
	configFile  = "config.json"
	weightsFile = "model.safetensors"
)

// RunFile is the file that makes a folder a run directory: the run's settings.
const RunFile = "bdia.yaml"

// bestDir is the folder of a run's best weights.
const bestDir = "best"

// RunOf returns the run directory that dir is, or that dir is the best/ folder or an older
// checkpoint of; it is empty for another folder.
func RunOf(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	home, ok := stepFolder(abs, dir) // first, since it has settings of its own
	switch {
	case ok && has(home, RunFile):
		return home
	case has(dir, RunFile):
		return dir
	case filepath.Base(abs) == bestDir && has(filepath.Join(dir, ".."), RunFile):
		return filepath.Join(dir, "..")
	}
	return ""
}

// BestOf returns the folder of a run's best weights. A run that never improved on what it
// started from has none (ErrNoBest).
func BestOf(run string) (string, error) {
	if _, err := os.Stat(run); err != nil {
		return "", err
	}
	dir := filepath.Join(run, bestDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s %w: none that were evaluated are better than those that it started from; use the latest", run, ErrNoBest)
	}
	return dir, nil
}
