package tune

import (
	"fmt"
	"strings"

	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// Picture describes the prompts and their completions.
func (t *Task) Picture(samples int) (train.Picture, error) {
	all := t.Settings.Tune.LossOnPrompt
	p, err := t.Sets.Picture(t.Settings.Pairs, samples, trainpairs.Sides{Source: "prompt", Target: "completion", Both: "both",
		Losses: func(prompt, completion int) int {
			if all {
				return prompt + completion
			}
			return completion + 1
		},
		Pieces: func(prompt, completion []int32) ([]train.Piece, error) {
			pieces, err := t.promptPieces(prompt)
			if err != nil {
				return nil, err
			}
			rest, err := trainpairs.Decoded(t.Target, completion, true)
			return append(pieces, rest, train.Piece{Text: t.endName(), Counts: true}), err
		}})
	if t.template != nil {
		p.Notes = append(p.Notes, fmt.Sprintf("written by the model's chat template; an answer ends with %q", t.endName()))
	}
	return p, err
}

// promptPieces are a prompt and the separator after it. If prompts are learned too, all but the first token counts.
func (t *Task) promptPieces(prompt []int32) ([]train.Piece, error) {
	if t.Settings.Tune.LossOnPrompt && len(prompt) > 0 {
		first, err := trainpairs.Decoded(t.Source, prompt[:1], false)
		if err != nil {
			return nil, err
		}
		rest, err := trainpairs.Decoded(t.Source, prompt[1:], true)
		return []train.Piece{first, rest}, err
	}
	whole, err := trainpairs.Decoded(t.Source, prompt, false)
	separator := string(t.Settings.Tune.Separator)
	if t.template != nil {
		separator = "" // the template writes what is between
	}
	if text, ok := strings.CutSuffix(whole.Text, separator); ok && separator != "" {
		return []train.Piece{{Text: text}, {Text: separator}}, err
	}
	return []train.Piece{whole}, err
}

// endName is the name of the token that ends a completion.
func (t *Task) endName() string {
	if b, ok := t.Target.(interface {
		Spelling(id int32) (name string, special bool)
	}); ok {
		if name, special := b.Spelling(t.Special.End); special {
			return name
		}
	}
	text, err := t.Target.Decode([]int32{t.Special.End})
	if err != nil || len(text) == 0 {
		return "<end>"
	}
	return string(text)
}
