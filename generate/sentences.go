package generate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/tokenizer"
)

// Policies are the treatment of sentences that cannot be translated as they are.
type Policies struct {
	OnBad  pairs.Policy // for text that is not UTF-8 or has unknown characters: pairs.Skip or pairs.Fatal
	OnLong pairs.Policy // for sentences longer than the model takes: pairs.Skip, pairs.Truncate or pairs.Fatal
}

// Validate returns an error for the first invalid policy.
func (p Policies) Validate() error {
	if p.OnBad != pairs.Skip && p.OnBad != pairs.Fatal {
		return fmt.Errorf("generate: %q for bad sentences; use %s or %s", p.OnBad, pairs.Skip, pairs.Fatal)
	}
	if p.OnLong != pairs.Skip && p.OnLong != pairs.Truncate && p.OnLong != pairs.Fatal {
		return fmt.Errorf("generate: %q for long sentences; use %s, %s or %s", p.OnLong, pairs.Skip, pairs.Truncate, pairs.Fatal)
	}
	return nil
}

// Sentence is a line of text and its translations.
type Sentence struct {
	Line         int           `json:"line"`
	Source       string        `json:"source"`
	Translations []Translation `json:"translations"`   // best first; none for a line that was left out
	Note         string        `json:"note,omitempty"` // of Notes
}

// Translation is one translation of a line.
type Translation struct {
	Text    string  `json:"text"`
	Score   float64 `json:"score"`    // translations are ordered by it
	LogProb float64 `json:"log_prob"` // natural logarithm of its probability
}

// Sentences translates text with a Translator.
type Sentences struct {
	*Translator
	Source, Target tokenizer.Tokenizer
	Policies       Policies
}

// LongError is the error for a sentence longer than the model takes, with the policy
// pairs.Fatal.
type LongError struct{ Tokens, Most int }

// Error names the length and the limit.
func (e *LongError) Error() string {
	return fmt.Sprintf("a sentence of %d tokens, and the model takes %d; split it, or have long ones skipped or truncated", e.Tokens, e.Most)
}

// Lines translates lines of the input called name; first is the number of lines[0].
// progress is called now and then with the number of lines done. If Lines fails, by a
// policy or because ctx is done, it returns the finished lines before the first
// unfinished one.
func (s *Sentences) Lines(ctx context.Context, name string, first int, lines []string, progress func(done int)) ([]Sentence, error) {
	var results []Sentence
	var sources [][]int32
	var places []int
	var refused error
	for i, line := range lines {
		r := Sentence{Line: first + i, Source: strings.TrimSpace(line), Translations: []Translation{}}
		ids, err := s.read(&r)
		if err != nil {
			refused = fmt.Errorf("%s: line %d: %w", name, r.Line, err)
			break
		}
		results = append(results, r)
		if len(ids) > 0 {
			sources, places = append(sources, ids), append(places, i)
		}
	}
	n := len(results) - len(sources)
	progress(n)
	err := s.Translate(sources, func(i int, best []Hypothesis) error {
		r := &results[places[i]]
		for _, h := range best {
			text, err := s.Target.Decode(h.IDs)
			if err != nil {
				return err
			}
			r.Translations = append(r.Translations, Translation{OneLine(text), h.Score, h.LogProb})
		}
		n++
		progress(n)
		return ctx.Err()
	})
	if err == nil {
		return results, refused
	}
	for _, i := range places {
		if len(results[i].Translations) == 0 {
			return results[:i], err
		}
	}
	return results, err
}

// read returns the tokens of a line, or none and a note if it is not translated.
func (s *Sentences) read(r *Sentence) ([]int32, error) {
	if r.Source == "" {
		r.Note = NoteEmpty
		return nil, nil
	}
	ids, err := tokenizer.Raw(s.Source).Encode([]byte(r.Source)) // as in training
	if !utf8.ValidString(r.Source) {
		err = errors.New("it is not UTF-8; convert it, for example with iconv")
	}
	if err != nil {
		r.Source, r.Note = strings.ToValidUTF8(r.Source, string(utf8.RuneError)), NoteBad
		if s.Policies.OnBad == pairs.Fatal {
			return nil, err
		}
		return nil, nil
	}
	most := s.model.Config.SourceContext - 1 // the end takes a position
	if len(ids) <= most {
		return ids, nil
	}
	switch s.Policies.OnLong {
	case pairs.Fatal:
		return nil, &LongError{len(ids), most}
	case pairs.Truncate:
		r.Note = NoteTruncated
		return ids[:most], nil
	}
	r.Note = NoteLong
	return nil, nil
}
