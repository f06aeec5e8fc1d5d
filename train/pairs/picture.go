package pairs

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/data/tally"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// Sides are what a picture says of pairs in the words of a task.
type Sides struct {
	Source, Target, Both string // names of lengths: prompt, completion, pair
	// Losses is how many losses a pair with so many tokens has.
	Losses func(source, target int) int
	// Pieces are a pair as the model sees it.
	Pieces func(source, target []int32) ([]train.Piece, error)
}

// Picture describes the pairs of c with up to so many samples, evenly taken from training.
func (p *Sets) Picture(c DataConfig, samples int, s Sides) (train.Picture, error) {
	pic := train.Picture{Counts: p.counts(c), Notes: p.notes(c, s)}
	for _, r := range []*pairs.Report{p.Report, p.Val} {
		if r != nil {
			pic.LeftOut = append(pic.LeftOut, leftOut(r)...)
		}
	}
	for part, set := range p.sets {
		if set == nil {
			continue
		}
		of := train.Part{Name: pairs.Part(part).String(), Samples: int64(set.Len()), Unit: "tokens"}
		for i := range set.Len() {
			of.Losses += int64(s.Losses(set.Lengths(i)))
		}
		pic.Parts = append(pic.Parts, of)
	}
	set := p.sets[pairs.Train]
	if set == nil { // Encode failed
		return pic, nil
	}
	var source, target, both []int
	for i := range set.Len() {
		n, m := set.Lengths(i)
		source, target, both = append(source, n), append(target, m), append(both, n+m)
	}
	pic.Lengths = []train.Lengths{train.LengthsOf(s.Source, "tokens", source), train.LengthsOf(s.Target, "tokens", target)}
	if s.Both != "" {
		pic.Lengths = append(pic.Lengths, train.LengthsOf(s.Both, "tokens", both))
	}
	for k := range min(samples, set.Len()) {
		one, err := p.sample(c, k*set.Len()/min(samples, set.Len()), s)
		if err != nil {
			return pic, err
		}
		pic.Samples = append(pic.Samples, one)
	}
	return pic, nil
}

// counts are what was read: of a run that goes on, only its pairs are known.
func (p *Sets) counts(c DataConfig) []train.Count {
	var files, talks, read, used int64
	for _, set := range p.sets {
		if set != nil {
			used += int64(set.Len())
		}
	}
	if p.Report == nil {
		return []train.Count{{What: "pairs", Read: used, Used: used}}
	}
	for _, name := range []string{c.Source, c.Target, c.ValSource, c.ValTarget} {
		if name != "" {
			files++
		}
	}
	for _, r := range []*pairs.Report{p.Report, p.Val} {
		if r != nil {
			talks, read = talks+int64(r.Conversations), read+int64(r.Read)
		}
	}
	counts := []train.Count{{What: "files", Read: files, Used: files}}
	if talks > 0 {
		counts = append(counts, train.Count{What: "conversations", Read: talks, Used: talks})
	}
	return append(counts, train.Count{What: "pairs", Read: read, Used: used})
}

// leftOut are the pairs of r that were left out or changed.
func leftOut(r *pairs.Report) (all tally.List) {
	for why, t := range r.Why {
		if t.Count == 0 {
			continue
		}
		first := fmt.Sprintf("%s, line %d", filepath.Base(r.File), t.First[0].Line)
		switch {
		case t.Detail != "":
			first += ": " + t.Detail
		case t.First[0].Source != "" || t.First[0].Target != "":
			first += fmt.Sprintf(": %q, %q", t.First[0].Source, t.First[0].Target)
		}
		all = append(all, tally.LeftOut{What: "pairs", Reason: pairs.Reason(why).String(), Count: int64(t.Count), First: first, Kept: pairs.Reason(why).Kept()})
	}
	return all
}

// notes are what a user should know of how the pairs were read and split.
func (p *Sets) notes(c DataConfig, s Sides) []string {
	notes := []string{}
	if p.Report == nil {
		return notes
	}
	if p.Lost > 0 {
		notes = append(notes, fmt.Sprintf("the tokenizer has no token for %d bytes of the texts, which are left out or read as unknown", p.Lost))
	}
	for _, r := range []*pairs.Report{p.Report, p.Val} {
		if r == nil {
			continue
		}
		prefix := ""
		if p.Val != nil {
			prefix = filepath.Base(r.File) + ": "
		}
		for _, note := range r.Notes {
			notes = append(notes, prefix+note)
		}
		if need := r.Need(); need.Long > 0 {
			notes = append(notes, prefix+need.String())
		}
	}
	switch held := p.sets[pairs.Val]; {
	case p.Val != nil && p.Leaked > 0:
		notes = append(notes, fmt.Sprintf("of the pairs for validation, %d have a %s that is trained on too: their loss says little of others", p.Leaked, s.Source))
	case p.Val != nil || c.Split.Val == 0 || p.sets[pairs.Train] == nil:
	case held == nil:
		notes = append(notes, fmt.Sprintf("nothing is held out: there is only one %s", s.Source))
	default:
		notes = append(notes, heldOut(c.Split.Val, p.Report != nil && p.Report.Alike, s.Source))
	}
	return notes
}

// heldOut says what is held out of the sources, or of conversations that begin alike.
func heldOut(share pairs.Share, alike bool, source string) string {
	how := fmt.Sprintf("%.4g %% of", 100*float64(share))
	rest := ","
	if share == pairs.AutoShare {
		how, rest = "10 % of", ", but at least 20 or a third,"
	}
	if alike {
		return fmt.Sprintf("held out are %s the conversations%s by a hash of what is asked in them; nearly all begin alike, and no conversation is on both sides", how, rest)
	}
	return fmt.Sprintf("held out are %s the %ss%s by their hash; no %s is on both sides", how, source, rest, source)
}

// sample is pair i of training as the model sees it.
func (p *Sets) sample(c DataConfig, i int, s Sides) (one train.Sample, err error) {
	set := p.sets[pairs.Train]
	n, m := set.Lengths(i)
	source, target := make([]int32, n), make([]int32, m)
	if _, err = set.Source(source, i); err == nil {
		_, err = set.Target(target, i)
	}
	if err != nil {
		return one, err
	}
	if i < len(p.lines) {
		one.Place = fmt.Sprintf("%s, line %d", filepath.Base(c.Source), p.lines[i])
	}
	one.Pieces, err = s.Pieces(source, target)
	return one, err
}

// Decoded returns a piece of the text of ids.
func Decoded(tok tokenizer.Tokenizer, ids []int32, counts bool) (train.Piece, error) {
	text, err := tok.Decode(ids)
	return train.Piece{Text: strings.ToValidUTF8(string(text), "\ufffd"), Counts: counts}, err
}

// Picture describes the sentences and their translations.
func (t *Task) Picture(samples int) (train.Picture, error) {
	return t.Sets.Picture(t.Settings.Pairs, samples, Sides{Source: "source", Target: "target",
		Losses: func(_, target int) int { return target + 1 },
		Pieces: func(source, target []int32) ([]train.Piece, error) {
			from, err := Decoded(t.Source, source, false)
			if err != nil {
				return nil, err
			}
			to, err := Decoded(t.Target, target, true)
			return []train.Piece{from, {Text: endName + "\n"}, to, {Text: endName, Counts: true}}, err
		}})
}

// endName stands for the token that ends a sentence, which is none of the tokenizer's.
const endName = "<end>"
