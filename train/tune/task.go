package tune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// Config are the settings of a run: a trained language model learns to complete prompts.
type Config struct {
	Model        model.GPTConfig       `yaml:"model,omitzero"`
	Tune         Settings              `yaml:"tune,omitzero"`
	Pairs        trainpairs.DataConfig `yaml:"pairs,omitzero"` // prompts and completions
	train.Common `yaml:",inline"`
}

// Default returns the settings of a run that names nothing but its data and the model to start from: fine-tuning of
// all weights. The batch, the rate and the length of the run are open (see train.Assumer): Prepare chooses them from
// the pairs.
func Default() Config {
	m, _ := model.GPTPreset("nano")
	o, _ := optim.Default("adamw")
	c := Config{
		Model: m,
		Tune:  DefaultSettings(),
		Pairs: trainpairs.DataConfig{Split: pairs.Split{Val: pairs.AutoShare, Seed: 1}, OnBad: pairs.Skip, OnLong: pairs.Skip},
		Common: train.Common{Method: DefaultMethod(), Optimizer: o, Schedule: optim.Schedule{Kind: "cosine", Final: 0.1},
			Loop: train.LoopConfig{Update: train.WhenAuto, Seed: 1, SampleTokens: 200, LogEvery: 10, CheckEvery: train.DefaultCheckEvery, TensorBoard: true, Keep: 2}},
	}
	c.OpenLoop()
	return c
}

// Validate returns an error for the first invalid setting or combination.
// Open ones are taken as they are without data.
func (c Config) Validate() error {
	c.Assume()
	return cmp.Or(c.Model.Validate(), c.Method.Validate(), c.Pairs.Validate(), c.Tune.Validate(c.Model, c.Loop),
		c.Common.Validate(), c.Fits(c.Model.Fits))
}

// StartFrom makes the model the one of the folder dir (see Settings.StartFrom).
func (c *Config) StartFrom(dir string) error { return c.Tune.StartFrom(dir, &c.Model) }

// Name is the task's name in bdia.yaml.
const Name = "completion"

func init() { train.Register(Name, func() train.Task { return New(Default()) }) }

// Task is a run's settings and data.
type Task struct {
	Settings        Config
	trainpairs.Sets // after Prepare or Reopen; both tokenizers are the model's

	template *chat.Template // of the settings' ChatTemplate; nil: none
}

// New returns the task of the settings c.
func New(c Config) *Task { return &Task{Settings: c} }

// Name, Config and Common return what a run keeps in bdia.yaml.
func (t *Task) Name() string          { return Name }
func (t *Task) Config() any           { return &t.Settings }
func (t *Task) Common() *train.Common { return &t.Settings.Common }

// Validate returns an error for the first invalid setting or combination.
func (t *Task) Validate() error { return t.Settings.Validate() }

// Epochs is the length of the run in epochs; 0: it is in steps.
func (t *Task) Epochs() float64 { return t.Settings.Pairs.Epochs }

// StartsFrom is the folder of the model that learns on.
func (t *Task) StartsFrom() string { return t.Settings.Tune.From }

// Fixed is the settings without dropout and epochs, which may change.
func (t *Task) Fixed() any {
	c := t.Settings
	c.Model.EmbeddingDropout, c.Model.AttentionDropout, c.Model.ResidualDropout = 0, 0, 0
	c.Tune, c.Pairs.Epochs = c.Tune.Fixed(), 0
	return c
}

// Prepare loads the model's tokenizer, encodes prompts and completions to sets in dir, and completes the settings:
// steps by epochs.
func (t *Task) Prepare(ctx context.Context, dir string, progress train.Progress) error {
	c := &t.Settings
	if err := train.Identify(&c.Tune.From, &c.Tune.Base, progress); err != nil {
		return err
	}
	if c.Pairs.Source == "" {
		return fmt.Errorf("train: %w", trainpairs.ErrNoPairs)
	}
	if err := cmp.Or(c.Pairs.Absolute(), t.tokenizerOf(c.Tune.From)); err != nil {
		return err
	}
	var lost atomic.Int64
	e, err := t.encoding(&lost)
	if err != nil {
		return err
	}
	least := New(*c)
	train.Fill(&least.Settings.Pairs.BatchTokens, trainpairs.LeastTokens)
	if err := train.Fits(ctx, least); err != nil {
		return err
	}
	t.Fits = train.Beside(ctx, least)
	if err := t.Encode(ctx, dir, c.Pairs, e, progress); errors.Is(err, pairs.ErrColumns) {
		return &ColumnsError{err}
	} else if err != nil {
		return err
	}
	t.Lost = lost.Load()
	if err := t.Map(dir); err != nil {
		return err
	}
	passes, choice := c.choice(t.Amount())
	err = t.Settle(&c.Pairs, &c.Common, 2048, passes, choice)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Close()
	}
	return err
}

// encoding says how prompts and completions become tokens. Bytes without a token are added to lost.
func (t *Task) encoding(lost *atomic.Int64) (e trainpairs.Encoding, err error) {
	c := &t.Settings
	prompts, err := hub.NewPrompts(tokenizer.CountLost(t.Source, lost), string(c.Tune.Separator))
	if err != nil {
		return e, err
	}
	e = trainpairs.Encoding{Source: prompts, Target: tokenizer.CountLost(tokenizer.Raw(t.Target), lost), Positions: c.Tune.SampleLength(c.Model) + 1,
		KeepSpace: true, Separator: (*string)(&c.Tune.Separator)}
	e.Begin, _ = tokenizer.Around(t.Source)
	if t.template != nil {
		e.Joint = t.turn
	}
	return e, nil
}

// turn writes a pair by the model's template: the last turn of a conversation, or a question and its answer.
func (t *Task) turn(p pairs.Pair) (source, target []int32, err error) {
	talk := []chat.Message{{Role: "user", Content: p.Source}, {Role: "assistant", Content: p.Target}}
	var tools []byte
	if p.Talk != nil {
		talk, tools = talk[:0], p.Talk.Tools
		for _, turn := range p.Talk.Turns {
			talk = append(talk, chat.Message(turn))
		}
	}
	source, target, err = t.template.Turn(talk, tools)
	if no := new(chat.RefusedError); errors.As(err, &no) {
		err = no.Err // the reason for which it is counted says the rest
	}
	return source, target, err
}

// ColumnsError is the error of a table in which the columns of prompts and completions are not found. It wraps
// pairs.ErrColumns of package data/pairs.
type ColumnsError struct{ Err error }

// Error is the error of package data/pairs.
func (e *ColumnsError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ColumnsError) Unwrap() error { return e.Err }

// Host is what tokenizer and pairs take.
func (t *Task) Host() train.Host {
	return t.Sets.Host(t.Settings.Model.Vocab)
}

// Held is the type of the model's matrices in memory.
func (t *Task) Held() tensor.DType { return t.Settings.Tune.Held(t.Settings.Model).DType() }

// Reopen opens the tokenizer and the sets of the run in dir.
func (t *Task) Reopen(dir string) error {
	if err := t.tokenizerOf(dir); err != nil {
		return err
	}
	return t.Map(dir)
}

// tokenizerOf takes the tokenizer in dir.
func (t *Task) tokenizerOf(dir string) error {
	tok, end, err := completionTokenizer(dir, t.Settings.Model)
	if err != nil {
		return err
	}
	t.Source, t.Target = tok, tok
	if t.Settings.Tune.ChatTemplate {
		if t.template, err = chat.New(tok); err != nil {
			return fmt.Errorf("train: %s: %w: give it one that works, or train without", dir, err)
		}
		end = t.template.End()
	}
	t.Special = pairs.Special{SourceEnd: end, SourcePad: end, Begin: end, End: end, Pad: end}
	return t.Settings.Tune.Belongs(tok, t.Settings.Model, dir)
}

// Save writes the tokenizer's files, and what the model that the run started from says to other programs.
func (t *Task) Save(dir string) error {
	return errors.Join(t.Source.Save(dir), t.Settings.Tune.SaveOrigin(dir))
}

// Fit looks for the finest grid that holds the model's residual stream.
func (t *Task) Fit(ctx context.Context, st checkpoint.State, obs train.Observer) (*train.Calibration, bool, error) {
	return Fit(ctx, t, t.Settings.Tune, st, obs)
}

// Part returns the batches in which a part is evaluated; nil if it is empty.
func (t *Task) Part(part pairs.Part) (*pairs.Sequential, error) {
	return t.Sequential(t.Settings.Pairs, part)
}

// Learner allocates the model on be, to learn from the pairs.
func (t *Task) Learner(be backend.Backend) (train.Learner, error) {
	c := t.Settings
	b, err := t.Batches(c.Pairs, c.Loop)
	if err != nil {
		return nil, err
	}
	l, err := newCompletion(be, c, b)
	if err != nil {
		return nil, err
	}
	l.sets, l.End = &t.Sets, tokenizer.EndID(t.Source)
	l.val, l.training, err = t.Evaluated(c.Pairs, c.Loop.EvalTrain)
	return l, err
}

// Completions returns some prompts of a part with their completions: up to most neighbours of middle length; none of an
// empty part.
func (t *Task) Completions(part pairs.Part, most int) (model.Batch, error) {
	var b completionBatch
	set, err := t.Part(part)
	if err != nil || set == nil {
		return b.Batch, err
	}
	k, two := set.Len()/2, pairs.NewBatch(pairs.Capacity{})
	if err := set.Fill(k, 0, min(most, set.Shape(k).B), two); err != nil {
		return b.Batch, err
	}
	b.join(two, t.Settings.Tune.LossOnPrompt)
	return b.Batch, nil
}

// StepBatch returns the batch of a step.
func (t *Task) StepBatch(step int) (model.Batch, error) {
	var b completionBatch
	two := pairs.NewBatch(pairs.Capacity{})
	err := t.Batch(t.Settings.Pairs, t.Settings.Loop, step, two)
	if err == nil {
		b.join(two, t.Settings.Tune.LossOnPrompt)
	}
	return b.Batch, err
}
