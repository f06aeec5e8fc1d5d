package pairs

import (
	"fmt"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
)

// From says which trained encoder-decoder a run starts from.
type From struct {
	Dir  string `yaml:"dir"`  // folder of a run, or of its best; empty: initial weights are drawn
	Base string `yaml:"base"` // fingerprint of the weights there, by Prepare
}

// StartFrom makes the model, and the tokenizers, the ones of the folder dir. Dropout and label smoothing stay.
func (c *Config) StartFrom(dir string) error {
	f, err := hub.Open(dir, hub.Options{Kind: convert.Seq2Seq})
	if err != nil {
		return err
	}
	m, was := f.Seq2SeqInfo.Config, c.Seq2Seq
	m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout = was.EmbeddingDropout, was.AttentionDropout, was.ResidualDropout
	m.LabelSmoothing = was.LabelSmoothing
	c.Seq2Seq, c.From.Dir = m, dir
	c.Pairs.Tokenizer, c.Pairs.Separate = dir, f.Source != f.Target
	return nil
}

// adoptVocabularies sets the vocabularies of the model to the ones of the tokenizers. A trained model keeps its own.
func (t *Task) adoptVocabularies() error {
	m := &t.Settings.Seq2Seq
	source, target := t.Source.VocabSize()+hub.SpecialTokens, t.Target.VocabSize()+hub.SpecialTokens
	if from := t.Settings.From.Dir; from != "" && (source != m.SourceVocab || target != m.TargetVocab) {
		return fmt.Errorf("train: %s: the tokenizers have %d and %d tokens with the special ones, and the model %d and %d; %w",
			from, source, target, m.SourceVocab, m.TargetVocab, hub.ErrMismatch)
	}
	m.SourceVocab, m.TargetVocab = source, target
	return nil
}

// StartsFrom is the folder of the model that learns on; empty: the run begins with initial weights.
func (t *Task) StartsFrom() string { return t.Settings.From.Dir }

// Initialise draws initial weights, or reads the ones that the run starts from.
func (t *translation) Initialise(seed uint64) error {
	from := t.cfg.From
	if from.Dir == "" {
		t.Init(seed)
		return nil
	}
	if err := hub.CheckBase(from.Dir, from.Base, "from.base"); err != nil {
		return err
	}
	return t.ReadModel(from.Dir)
}

// Notes says where the model comes from.
func (t *translation) Notes() []string {
	if t.cfg.From.Dir == "" {
		return nil
	}
	return []string{"Starting from " + t.cfg.From.Dir}
}
