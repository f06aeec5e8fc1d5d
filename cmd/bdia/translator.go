package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// policies say what becomes of text that cannot be translated: pairs.Skip, Fatal or,
// for what is too long, Truncate.
type policies struct{ onBad, onLong pairs.Policy }

func (p policies) validate() error {
	if p.onBad != pairs.Skip && p.onBad != pairs.Fatal {
		return fmt.Errorf("--on-bad %s; use %s or %s", p.onBad, pairs.Skip, pairs.Fatal)
	}
	if p.onLong != pairs.Skip && p.onLong != pairs.Truncate && p.onLong != pairs.Fatal {
		return fmt.Errorf("--on-long %s; use %s, %s or %s", p.onLong, pairs.Skip, pairs.Truncate, pairs.Fatal)
	}
	return nil
}

// translator is an encoder-decoder ready to translate text.
type translator struct {
	*generate.Translator
	be             backend.Device
	source, target tokenizer.Tokenizer
	most           int // tokens that a sentence may have
	policies       policies
}

// loadTranslator loads the encoder-decoder of a run directory or its best/ folder.
func loadTranslator(dir string, o generate.TranslateOptions, p policies, engine backend.Options) (*translator, error) {
	f, err := openFolder(dir, hub.Options{Kind: convert.Seq2Seq})
	if err != nil {
		return nil, err
	}
	info := f.Seq2SeqInfo
	t := &translator{source: f.Source, target: f.Target, most: info.Config.SourceContext - 1, policies: p}
	special := pairs.Special{SourceEnd: info.SourceEnd, SourcePad: info.SourcePad, Begin: info.Begin, End: info.End, Pad: info.Pad}
	with := func(m *model.Seq2Seq) (err error) {
		t.Translator, err = generate.NewTranslator(m, special, t.target.VocabSize(), f.Grid, o)
		return err
	}
	m, err := f.Seq2Seq(engine, with, func(*model.Seq2Seq) error { return t.Rehearse() })
	if err != nil {
		return nil, err
	}
	if err := with(m.Seq2Seq); err != nil {
		m.Close()
		return nil, err
	}
	t.be = m.Device
	return t, nil
}

// What a line may be, beside a sentence that is translated as it is.
const (
	lineEmpty     = "empty"
	lineBad       = "not UTF-8 or with unknown characters"
	lineLong      = "too long"
	lineTruncated = "truncated"
)

// translated is a line and what was made of it.
type translated struct {
	Line         int           `json:"line"`
	Source       string        `json:"source"`
	Translations []translation `json:"translations"`   // best first; none for a line that was left out
	Note         string        `json:"note,omitempty"` // one of the constants above
}

// translation is one of a line's.
type translation struct {
	Text    string  `json:"text"`
	Score   float64 `json:"score"`    // by which they are ordered
	LogProb float64 `json:"log_prob"` // natural logarithm of its probability
}

// lines translates lines of the input called name, the first of which has the number
// first. done is called with how many are through, now and then. Where it fails, as
// the policies may say or ctx, the results are those of the lines that were done until
// the first that was not.
func (t *translator) lines(ctx context.Context, name string, first int, lines []string, done func(n int)) ([]translated, error) {
	var results []translated
	var sources [][]int32
	var places []int
	var refused error
	for i, line := range lines {
		r := translated{Line: first + i, Source: strings.TrimSpace(line), Translations: []translation{}}
		ids, err := t.read(&r)
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
	done(n)
	err := t.Translate(sources, func(i int, best []generate.Hypothesis) error {
		r := &results[places[i]]
		for _, h := range best {
			text, err := t.target.Decode(h.IDs)
			if err != nil {
				return err
			}
			r.Translations = append(r.Translations, translation{oneLineOf(text), h.Score, h.LogProb})
		}
		n++
		done(n)
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

// read returns the tokens of a line, none where it is not to be translated.
func (t *translator) read(r *translated) ([]int32, error) {
	if r.Source == "" {
		r.Note = lineEmpty
		return nil, nil
	}
	ids, err := tokenizer.Raw(t.source).Encode([]byte(r.Source)) // as in training
	if !utf8.ValidString(r.Source) {
		err = errors.New("it is not UTF-8; convert it, for example with iconv")
	}
	if err != nil {
		r.Source, r.Note = strings.ToValidUTF8(r.Source, string(unicode.ReplacementChar)), lineBad
		if t.policies.onBad == pairs.Fatal {
			return nil, err
		}
		return nil, nil
	}
	if len(ids) <= t.most {
		return ids, nil
	}
	switch t.policies.onLong {
	case pairs.Fatal:
		return nil, fmt.Errorf("a sentence of %d tokens, and the model takes %d; split it, or have long ones skipped or truncated with --on-long", len(ids), t.most)
	case pairs.Truncate:
		r.Note = lineTruncated
		return ids[:t.most], nil
	}
	r.Note = lineLong
	return nil, nil
}

// oneLineOf makes a line of decoded tokens, which may be any bytes.
func oneLineOf(text []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(text), string(unicode.ReplacementChar))))
}
