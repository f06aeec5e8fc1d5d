package text

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// Picture describes the text. Of a run that goes on, only its tokens are known.
func (t *Task) Picture(samples int) (train.Picture, error) {
	var p train.Picture
	if t.texts.src != nil {
		t.texts.describe(&p)
	}
	trained, held := t.texts.parts()
	if t.texts.src == nil {
		trained, held = t.train.Len(), t.val.Len()
		p.Counts = []train.Count{{What: "tokens", Read: trained + held, Used: trained + held}}
	}
	p.Parts = []train.Part{{Name: "train", Samples: trained, Unit: "tokens", Losses: max(t.train.Len()-1, 0)}}
	if t.val.Len() > 0 {
		p.Parts = append(p.Parts, train.Part{Name: "val", Samples: held, Unit: "tokens", Losses: max(t.val.Len()-1, 0)})
	}
	p.Notes = append(t.texts.notes(t.Settings.Data), t.vocabulary()...)
	t.texts.newcomers(t.Settings, &p)
	samples = min(samples, max(1, int(t.train.Len()/t.sampleTokens())))
	for i := range samples {
		s, err := t.sample(i, samples)
		if err != nil {
			return p, err
		}
		p.Samples = append(p.Samples, s)
	}
	return p, nil
}

// describe adds what was read.
func (t *texts) describe(p *train.Picture) {
	files, n := int64(len(t.src.Files)), t.src.Documents()
	p.Counts = []train.Count{{What: "files", Read: t.src.Found, Used: files}, {What: "documents", Read: n, Used: n}}
	out := t.src.LeftOut
	if t.val != nil {
		var both data.Source
		both.Add(t.src)
		both.Add(t.val)
		out = both.LeftOut
		p.Counts[0].Read, p.Counts[0].Used = both.Found, int64(len(both.Files))
		n = both.Documents()
		p.Counts[1].Read, p.Counts[1].Used = n, n
	}
	p.LeftOut = append(p.LeftOut, out...)
	if d := t.documents; d.stride == 1 && len(d.starts) > 1 {
		lengths := make([]int, len(d.starts))
		for i, from := range d.starts {
			to := d.total
			if i+1 < len(d.starts) {
				to = d.starts[i+1]
			}
			lengths[i] = int(to - from)
		}
		p.Lengths = append(p.Lengths, train.LengthsOf("document", "tokens", lengths))
	}
}

// parts returns how many documents are trained on and held out. A document that blocks are cut of is in both.
func (t *texts) parts() (trained, held int64) {
	if t.src == nil {
		return 0, 0
	}
	all := int64(t.documents.seen)
	switch {
	case t.val != nil:
		return all, t.val.Documents()
	case t.held.Documents != nil:
		held = int64(len(t.held.Documents) * t.documents.stride)
		return all - held, held
	}
	r := 0
	for i, from := range t.documents.starts {
		to := t.documents.total
		if i+1 < len(t.documents.starts) {
			to = t.documents.starts[i+1]
		}
		for r < len(t.held.Ranges) && t.held.Ranges[r].To <= from {
			r++
		}
		if r < len(t.held.Ranges) && t.held.Ranges[r].From < to {
			held++
		}
	}
	return all, held
}

// notes say what was taken, and what is held out.
func (t *texts) notes(c DataConfig) []string {
	if t.src == nil {
		return []string{"The run has begun: its tokens are known, and not which documents they were."}
	}
	notes := append([]string{}, t.src.Notes...)
	switch {
	case t.val != nil:
		notes = append(notes, "Held out is all text of "+c.Val+".")
	case t.held.Documents != nil:
		var names []string
		for _, i := range t.held.Documents {
			if i *= t.documents.stride; i < len(t.documents.names) && len(names) < 3 {
				names = append(names, filepath.Base(t.documents.names[i]))
			}
		}
		more := ""
		if len(names) < len(t.held.Documents) {
			more = ", .."
		}
		notes = append(notes, fmt.Sprintf("Held out are %d of the %d documents, drawn by chance, the same in every run: %s%s.",
			len(t.held.Documents)*t.documents.stride, t.documents.seen, strings.Join(names, ", "), more))
	case len(t.held.Ranges) > 0:
		n := "A block in the middle of the text is"
		if k := len(t.held.Ranges); k > 1 {
			n = fmt.Sprintf("%d blocks of %d tokens, spread over the text, are", k, t.held.Ranges[0].To-t.held.Ranges[0].From)
		}
		notes = append(notes, n+" held out: there are too few documents to hold out whole ones.")
	case c.ValFraction > 0:
		notes = append(notes, "The end of the text is held out.")
	}
	return notes
}

// vocabulary says which tokens the text is made of.
func (t *Task) vocabulary() []string {
	n := t.Tokenizer.VocabSize()
	var notes []string
	if t.texts.joined > 0 {
		notes = []string{fmt.Sprintf("The text repeats itself: a byte-level BPE would make only %d tokens of it, so it is read in smaller ones.", t.texts.joined)}
	}
	if t.Tokenizer.Kind() != tokenizer.KindChar {
		notes = append(notes, fmt.Sprintf("The tokenizer has %d tokens.", n))
		if t.texts.lost > 0 {
			notes = append(notes, fmt.Sprintf("It has none for %d bytes of the text, which are left out or read as unknown.", t.texts.lost))
		}
		return notes
	}
	once := ""
	if t.texts.once > 0 {
		once = fmt.Sprintf(" In the text only once: %d.", t.texts.once)
	}
	return append(notes, fmt.Sprintf("Each character is a token; there are %d different ones.%s", n, once))
}

// readable are the tokens of a sample at least: of shorter ones a reader sees too little.
const readable = 320

// sampleTokens are the tokens of a sample of the picture.
func (t *Task) sampleTokens() int64 { return int64(max(t.Settings.SampleLength(), readable)) }

// sample returns piece i of n that are spread over the training text.
func (t *Task) sample(i, n int) (train.Sample, error) {
	ids := make([]int32, min(t.sampleTokens(), t.train.Len()))
	from := (t.train.Len() - int64(len(ids))) * int64(i) / int64(max(n, 1))
	if err := t.train.Read(ids, from); err != nil {
		return train.Sample{}, err
	}
	text, err := t.Tokenizer.Decode(ids)
	if err != nil {
		return train.Sample{}, err
	}
	return train.Sample{Place: t.texts.place(from), Pieces: []train.Piece{{Text: string(text), Counts: true}}}, nil
}

// place names the document that token at of the training text is in, if that is known.
func (t *texts) place(at int64) string {
	for _, r := range t.held.Ranges {
		if r.From > at {
			break
		}
		at += r.To - r.From
	}
	i, found := slices.BinarySearch(t.documents.starts, at)
	if !found {
		i--
	}
	if i < 0 || t.documents.stride != 1 || i >= len(t.documents.names) {
		return ""
	}
	return t.documents.names[i]
}
