package train

import (
	"context"
	"fmt"
	"io"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/tokenizer"
)

// language is a GPT that learns text.
type language struct {
	*model.GPT
	windows
	be   backend.Backend
	cfg  Config
	text *Text       // nil where the tokens are made up
	end  *int32      // the token that ends a text; nil where there is none
	room model.Batch // for a micro-batch
}

// Learner returns a GPT that learns the text.
func (t *Text) Learner(be backend.Backend, cfg Config) (Learner, error) {
	w, err := t.windows(cfg)
	if err != nil {
		return nil, err
	}
	l, err := newLanguage(be, cfg, w, t)
	if err == nil {
		l.end = endOfText(t.Tokenizer)
	}
	return l, err
}

// endOfText returns the token that ends a text, nil where tok has none.
func endOfText(tok tokenizer.Tokenizer) *int32 {
	if id, ok := tokenizer.EndOfText(tok); ok {
		return &id
	}
	return nil
}

func newLanguage(be backend.Backend, cfg Config, w windows, t *Text) (*language, error) {
	m, err := model.NewGPT(be, cfg.Model, cfg.Method)
	if err == nil {
		err = cfg.Tune.apply(m)
	}
	if err != nil {
		return nil, err
	}
	return &language{GPT: m, windows: w, be: be, cfg: cfg, text: t, room: model.NewBatch(cfg.Loop.SamplesAtOnce(), cfg.Window())}, nil
}

func (l *language) Initialise(seed uint64) error {
	if l.cfg.Tune.From == "" {
		l.Init(seed)
		return nil
	}
	l.InitLoRA(seed)
	return l.readBase()
}

// Notes say where the model comes from and what of it learns.
func (l *language) Notes() []string {
	t := l.cfg.Tune
	if t.From == "" {
		return nil
	}
	notes := []string{"Starting from " + t.From}
	if learned, all := count(l.Trainable()), count(l.Params()); learned != all {
		notes = append(notes, fmt.Sprintf("Learned are %d numbers beside the model's %d (%.2g%%)", learned, all, 100*float64(learned)/float64(all)))
	}
	return notes
}

// count adds up the elements of parameters.
func count(params []*tensor.Param) (n int64) {
	for _, p := range params {
		n += int64(p.Value.Len())
	}
	return n
}

// Size returns the sizes of every batch.
func (l *language) Size(int) (samples, losses int, err error) {
	n := l.cfg.Loop.Batch
	return n, n * l.cfg.Window(), nil
}

// Largest is any step.
func (l *language) Largest() ([]int, error) { return []int{1}, nil }

func (l *language) Step(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	b := l.first(n)
	if err := l.batches.Batch(pass.Step, pass.Sample, n, b.Inputs, b.Targets); err != nil {
		return nil, err
	}
	return l.GPT.Step(b, pass, scale, sink)
}

// first is room for n samples.
func (l *language) first(n int) model.Batch {
	T := l.cfg.Window()
	return model.Batch{Size: n, Inputs: l.room.Inputs[:n*T], Targets: l.room.Targets[:n*T]}
}

// Evaluate measures the ordinary transformer (gamma 0) on the run's grid.
func (l *language) Evaluate(ctx context.Context, training bool) (Score, bool, error) {
	set := l.val
	if training {
		set = l.train
	}
	if set == nil {
		return unmeasured, false, nil
	}
	loss, err := l.mean(ctx, set)
	return Score{Loss: loss}, true, err
}

// Record records the loss and the perplexity.
func (l *language) Record(prefix string, s Score) []metric.Field { return TokenFields(prefix, s) }

// Unit is tokens.
func (l *language) Unit() string { return "tokens" }

// mean returns the mean loss per token over the windows of set.
func (l *language) mean(ctx context.Context, set *data.Sequential) (float64, error) {
	var sum float64
	for first := 0; first < set.Len(); {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b := l.first(min(l.room.Size, set.Len()-first))
		if err := set.Batch(first, b.Size, b.Inputs, b.Targets); err != nil {
			return 0, err
		}
		losses, err := l.Loss(b, l.cfg.Method.Grid)
		if err != nil {
			return 0, err
		}
		sum = model.AddLosses(sum, losses)
		first += b.Size
	}
	return sum / float64(set.Len()*l.cfg.Window()), nil
}

func (l *language) Rehearse() error {
	if _, err := l.Loss(l.room, l.cfg.Method.Grid); err != nil {
		return err
	}
	return l.NextLogits(make([]float32, l.cfg.Model.Vocab), make([]int32, l.cfg.Model.Context), l.cfg.Method.Grid)
}

// Sample generates text that continues the held-out text's beginning.
func (l *language) Sample() (string, error) {
	ids, err := l.text.Prompt()
	if err != nil {
		return "", err
	}
	o := generate.DefaultOptions()
	o.MaxTokens, o.Grid = max(l.cfg.Loop.SampleTokens, 1), l.cfg.Method.Grid
	o.NoCache = true // whose memory may be more than a step of training takes
	return generate.Text(l.GPT, l.text.Tokenizer, ids, o)
}

// writeConfig writes config.json.
func (l *language) writeConfig(w io.Writer) error {
	return convert.WriteGPT2Info(w, convert.GPT2Info{Config: l.cfg.Model, End: l.end})
}

func (l *language) WriteWeights(w io.Writer) error      { return convert.WriteGPT2(w, l.be, l.GPT) }
func (l *language) ReadWeights(f convert.Tensors) error { return convert.ReadGPT2(l.be, l.GPT, f) }

// tokenSource fills the samples first..first+n-1 of a step's batch.
type tokenSource interface {
	Batch(step, first, n int, inputs, targets []int32) error
}

// tokens are samples without a text.
type tokens struct{ tokenSource }

// Learner returns a GPT that learns the tokens.
func (s tokens) Learner(be backend.Backend, cfg Config) (Learner, error) {
	return newLanguage(be, cfg, windows{batches: s.tokenSource}, nil)
}

// randomTokens gives uniform token ids.
type randomTokens struct{ vocab uint32 }

func (r randomTokens) Batch(step, first, _ int, inputs, targets []int32) error {
	key := rng.Key{Seed: 1, Step: uint32(step), Sample: uint32(first), Site: rng.SiteData}
	for i := range inputs {
		w := key.At(uint32(i))
		inputs[i], targets[i] = int32(w[0]%r.vocab), int32(w[1]%r.vocab)
	}
	return nil
}

// noTokens leaves the ids as they are: zero.
type noTokens struct{}

func (noTokens) Batch(_, _, _ int, _, _ []int32) error { return nil }
