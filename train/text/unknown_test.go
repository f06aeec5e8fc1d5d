package text

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// charRun is a trained run of characters.
func charRun(t *testing.T) string {
	t.Helper()
	c := tinyConfig()
	c.Data.Tokenizer = tokenizer.KindChar
	r := create(t, c)
	traintest.Trained(t, r, traintest.Listener{})
	return r.Dir
}

// goingOn is a run from there with text that has five characters more.
func goingOn(t *testing.T, from string) Config {
	t.Helper()
	c := tinyConfig()
	if err := c.StartFrom(from); err != nil {
		t.Fatal(err)
	}
	c.Data.Path = traintest.TextFile(t, traintest.Text(2000)+"\n\nCafé"+traintest.Text(2000)+"é")
	return c
}

// TestNewCharacters: a model of characters learns a text with other ones: the vocabulary gets them, the old ids stay,
// and a run that was stopped goes on to the same bytes.
func TestNewCharacters(t *testing.T) {
	t.Parallel()
	from := charRun(t)
	old, err := tokenizer.Load(from)
	if err != nil {
		t.Fatal(err)
	}
	cfg := goingOn(t, from)
	r := create(t, cfg)
	c, chars := settings(r), r.Task.(*Task).Tokenizer.(*tokenizer.Char)
	if n := old.VocabSize(); chars.VocabSize() != n+4 || c.Model.Vocab != n+4 || c.Tune.Grown != 4 {
		t.Fatalf("%d characters after %d, the model %d", chars.VocabSize(), n, c.Model.Vocab)
	}
	for id := range int32(old.VocabSize()) {
		a, _ := old.Decode([]int32{id})
		if b, err := chars.Decode([]int32{id}); err != nil || string(a) != string(b) {
			t.Errorf("id %d was %q and is %q, %v", id, a, b, err)
		}
	}
	p, err := r.Task.(*Task).Picture(1)
	if err != nil || !slices.ContainsFunc(p.Notes, func(n string) bool {
		return strings.HasPrefix(n, `New to the tokenizer: 4 different characters, '\n' (U+000A, 2 times, first in `) && strings.Contains(n, `, line 1), 'C' (1), 'a' (1), 'é' (2)`)
	}) {
		t.Errorf("notes %q, %v", p.Notes, err)
	}
	ctx, obs := traintest.CancelAt(5)
	if _, err := r.Train(ctx, obs); err != nil {
		t.Fatal(err)
	}
	stopped := traintest.Open(t, r.Dir)
	traintest.Trained(t, stopped, traintest.Listener{})
	whole := create(t, cfg)
	traintest.Trained(t, whole, traintest.Listener{})
	for _, name := range []string{train.WeightsFile, train.ConfigFile, "chars.json", bestDir + "/" + train.WeightsFile, optimizerFile} {
		traintest.SameFile(t, name, stopped.Dir, whole.Dir)
	}
	f, err := hub.Open(filepath.Join(whole.Dir, bestDir), hub.Options{})
	if err != nil || f.GPTInfo.Config.Vocab != old.VocabSize()+4 || f.Tokenizer.VocabSize() != old.VocabSize()+4 {
		t.Errorf("the folder has %+v, %v", f, err)
	}
}

// TestUnknownCharacters: they are named, left out or learned as the settings say.
func TestUnknownCharacters(t *testing.T) {
	t.Parallel()
	from := charRun(t)
	for name, tc := range map[string]struct {
		change func(*Config)
		fails  bool
		vocab  int // more than before
		out    int64
	}{
		"fatal":              {change: func(c *Config) { c.Data.OnUnknown = FatalUnknown }, fails: true},
		"skip":               {change: func(c *Config) { c.Data.OnUnknown = SkipUnknown }, out: 6},
		"adapters":           {change: func(c *Config) { c.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"all"}} }, fails: true},
		"adapters and skip":  {change: func(c *Config) { c.Tune.Freeze, c.Data.OnUnknown = 1, SkipUnknown }, out: 6},
		"frozen, extend":     {change: func(c *Config) { c.Tune.Freeze, c.Data.OnUnknown = 1, ExtendUnknown }, fails: true},
		"from nothing":       {change: func(c *Config) { c.Tune.From = "" }, fails: true},
		"from nothing, more": {change: func(c *Config) { c.Tune.From, c.Data.OnUnknown = "", ExtendUnknown }, vocab: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := goingOn(t, from)
			before := c.Model.Vocab
			tc.change(&c)
			task := New(c)
			r, err := train.Create(context.Background(), filepath.Join(t.TempDir(), "run"), task, nil)
			if err == nil {
				t.Cleanup(func() { r.Close() })
			}
			var unknown *UnknownError
			if tc.fails {
				if !errors.Is(err, tokenizer.ErrUnknown) || !errors.As(err, &unknown) || len(unknown.Characters) != 4 || unknown.Fixed != !c.Tune.LearnsTokens() ||
					!strings.Contains(err.Error(), "text.txt, line 1") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p, err := task.Picture(0)
			if err != nil {
				t.Fatal(err)
			}
			if task.Settings.Model.Vocab != before+tc.vocab || task.train.Len()+task.val.Len() != 4007-tc.out {
				t.Errorf("%d tokens of %d kinds", task.train.Len()+task.val.Len(), task.Settings.Model.Vocab)
			}
			if tc.out > 0 && (len(p.LeftOut) != 1 || p.LeftOut[0].Count != tc.out) {
				t.Errorf("left out %+v", p.LeftOut)
			}
		})
	}
}
