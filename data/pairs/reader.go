package pairs

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Policy is the treatment of pairs that cannot be used as they are.
type Policy string

const (
	Skip     Policy = "skip"     // leave the pair out and count it; the empty value means the same
	Truncate Policy = "truncate" // shorten its sentences and count it
	Fatal    Policy = "fatal"    // stop with an error that names it
)

// Filter chooses the pairs to leave out. The zero value leaves out only empty and
// repeated pairs.
type Filter struct {
	MinChars       int     `yaml:"min_chars"`       // least number of characters (Unicode code points) of a sentence
	MaxChars       int     `yaml:"max_chars"`       // largest number of characters; 0: no limit
	MaxRatio       float64 `yaml:"max_ratio"`       // largest ratio of characters, longer over shorter sentence; 0: no limit
	KeepDuplicates bool    `yaml:"keep_duplicates"` // keep repeated pairs, equal on both sides, not only the first
}

// Validate returns an error for the first invalid setting.
func (f Filter) Validate() error {
	switch {
	case f.MinChars < 0 || f.MaxChars < 0 || f.MaxChars > 0 && f.MaxChars < f.MinChars:
		return fmt.Errorf("pairs: sentences of %d to %d characters; give a range, with 0 for no limit", f.MinChars, f.MaxChars)
	case f.MaxRatio != 0 && !(f.MaxRatio >= 1):
		return fmt.Errorf("pairs: a ratio of lengths of at most %v; it must be at least 1, or 0 for any", f.MaxRatio)
	}
	return nil
}

// Options are the options of NewReader.
type Options struct {
	Files  Files
	Filter Filter
	Split  Split
	// OnBad is the treatment (Skip or Fatal) of a sentence that is not UTF-8, a row
	// without one of its columns, and text that the tokenizer has no tokens for.
	OnBad Policy
	// KeepSpace keeps white space around a sentence. Otherwise it is dropped.
	KeepSpace bool
	// Separator stands between the name of the assistant and what it says in the sources of conversations; empty: a
	// space. It is the one that a model sees between a source and its target, so that all turns look the same.
	Separator *string
	// Turns gives pairs of conversations their Talk. Then a turn of the assistant that is nothing but calls of tools
	// is an answer too.
	Turns bool
	// Fits, if not nil, reports whether so many bytes in all may be taken for a set of the pairs while it is made
	// (PairBytes each). Else reading fails with ErrMemory.
	Fits func(bytes int64) bool
}

// PairBytes is about what a pair takes in memory from its reading to the batches of its set. Half of it is the room
// that Go's heap needs for garbage. Of a set that is only opened it is OpenBytes.
const (
	PairBytes = 256
	OpenBytes = 96
)

// pairsBetween is how many pairs are read between two looks at the memory.
const pairsBetween = 1 << 12

// Validate returns an error for the first invalid option.
func (o Options) Validate() error {
	if o.OnBad != "" && o.OnBad != Skip && o.OnBad != Fatal {
		return fmt.Errorf("pairs: cannot treat bad sentences by %q; use %s or %s", o.OnBad, Skip, Fatal)
	}
	if err := o.Files.Validate(); err != nil {
		return err
	}
	if err := o.Filter.Validate(); err != nil {
		return err
	}
	return o.Split.Validate()
}

// Pair is a sentence and its translation.
type Pair struct {
	Source, Target string
	Part           Part
	Line           int     // in the file, from 1; the first line of a row with line breaks
	Draw           float64 // decides its part (see Split.Draw): equal for all pairs of a source or of a conversation
	Whole          float64 // decides instead, if most conversations begin alike (see Draws)
	Talk           *Talk   // the conversation up to the target; only with Options.Turns
}

// Reader reads pairs one by one. Its memory does not grow with the text, except to
// find duplicates: 16 bytes and a map's overhead for each pair, up to the last one.
type Reader struct {
	o      Options
	cuts   Cuts
	whole  bool // Pair.Whole decides the part
	rows   rows
	inputs []*input
	seen   map[[16]byte]struct{}
	key    []byte
	report Report
	err    error // the error that ended reading
}

// NewReader opens the files. With shares to hold out it reads them once, to count the distinct sources that it keeps.
// Call Close when done.
func NewReader(o Options) (*Reader, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	r, err := openReader(o)
	if err != nil || o.Split.Val == 0 && o.Split.Test == 0 {
		return r, err
	}
	defer r.Close()
	var draws Draws
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		draws.Add(p)
	}
	again, err := openReader(o)
	if err == nil {
		again.whole = draws.Alike()
		again.cuts = o.Split.Cut(draws.Chosen())
	}
	return again, err
}

func openReader(o Options) (*Reader, error) {
	format, err := o.Files.format()
	if err != nil {
		return nil, err
	}
	inputs, err := openFiles(o.Files)
	r := &Reader{o: o, inputs: inputs, seen: map[[16]byte]struct{}{}}
	if err == nil {
		err = r.begin(format)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// begin reads the beginning of the open files.
func (r *Reader) begin(format Format) (err error) {
	separator := " "
	if r.o.Separator != nil {
		separator = *r.o.Separator
	}
	r.rows, err = newRows(r.o.Files, format, separator, r.o.Turns, r.inputs)
	return err
}

// Next returns the next pair that is kept, and io.EOF after the last one. After an
// error it repeats the error. Two files of different lengths are an error at the
// end of the shorter one.
func (r *Reader) Next() (Pair, error) {
	for r.err == nil {
		var w row
		if w, r.err = r.rows.next(); r.err != nil {
			r.seen = nil
			break
		}
		if r.report.Read++; r.report.Read%pairsBetween == 0 && r.o.Fits != nil && !r.o.Fits(int64(r.report.Read)*PairBytes) {
			r.err = fmt.Errorf("pairs: %s: %w: after %d of them; give fewer, or allow more memory", r.o.Files.Source, ErrMemory, r.report.Read)
			break
		}
		if w.begins {
			r.report.Conversations++
		}
		p := Pair{Source: w.sides[0], Target: w.sides[1], Line: w.line, Talk: w.talk}
		if !r.o.KeepSpace {
			p.Source, p.Target = strings.TrimSpace(p.Source), strings.TrimSpace(p.Target)
		}
		reason, ok := r.look(w, p)
		if ok {
			p.Draw = r.o.Split.Draw(cmp.Or(w.origin, p.Source))
			p.Whole = r.o.Split.Draw(cmp.Or(w.whole, w.origin, p.Source))
			p.Part = r.cuts.Part(p.Draw)
			if r.whole {
				p.Part = r.cuts.Part(p.Whole)
			}
			r.report.Kept[p.Part]++
			return p, nil
		}
		if r.o.OnBad == Fatal {
			r.err = r.fatal(w, reason, p)
		}
		if reason == NotUTF8 && w.missing == "" {
			w.missing = fmt.Sprintf("byte 0x%02x%s", firstInvalid(p.Source, p.Target), r.ofFile(p))
		}
		r.report.count(reason, p, w.missing)
	}
	return Pair{}, r.err
}

// fatal is the error of a row that is no pair of texts, or nil of one that is just not wanted.
func (r *Reader) fatal(w row, reason Reason, p Pair) error {
	switch {
	case reason == Unlearned:
		return nil
	case reason == LongRow:
		return fmt.Errorf("pairs: %s: line %d is %w: at most %d bytes; is this text, a sentence a line? Cut it, or have bad ones skipped", r.inputs[0].path, w.line, ErrTooLong, MaxLine)
	case reason == OpenQuote:
		return fmt.Errorf("pairs: %s: line %d: %w: a quotation mark has no end: %s, or have bad ones skipped", r.inputs[0].path, w.line, ErrText, w.missing)
	case w.missing != "":
		return fmt.Errorf("pairs: %s: line %d: %w: %s: mend it, or have bad ones skipped", r.inputs[0].path, w.line, ErrText, w.missing)
	case reason == NotUTF8:
		return fmt.Errorf("pairs: %s: line %d: %w: %q and %q are not both UTF-8: convert the file, for example with iconv -f cp1252 -t utf-8, or have bad ones skipped",
			r.inputs[0].path, w.line, ErrText, clip(p.Source), clip(p.Target))
	}
	return nil
}

// ofFile says in which of two files a pair is not UTF-8; empty: there is one file.
func (r *Reader) ofFile(p Pair) string {
	if len(r.inputs) < 2 {
		return ""
	}
	if utf8.ValidString(p.Source) {
		return " of " + r.inputs[1].path
	}
	return " of " + r.inputs[0].path
}

// firstInvalid is the first byte that is not UTF-8.
func firstInvalid(texts ...string) byte {
	for _, text := range texts {
		for i, r := range text {
			if _, size := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && size == 1 {
				return text[i]
			}
		}
	}
	return 0
}

// look returns the reason to leave a pair out, or ok.
func (r *Reader) look(w row, p Pair) (reason Reason, ok bool) {
	f := r.o.Filter
	a, b := utf8.RuneCountInString(strings.TrimSpace(p.Source)), utf8.RuneCountInString(strings.TrimSpace(p.Target))
	switch {
	case w.missing != "":
		return w.reason, false
	case !utf8.ValidString(p.Source) || !utf8.ValidString(p.Target):
		return NotUTF8, false
	case a == 0 || b == 0:
		return Empty, false
	case min(a, b) < f.MinChars:
		return Short, false
	case f.MaxChars > 0 && max(a, b) > f.MaxChars:
		return Long, false
	case f.MaxRatio > 0 && float64(max(a, b)) > f.MaxRatio*float64(min(a, b)):
		return Ratio, false
	case !f.KeepDuplicates && r.again(p):
		return Duplicate, false
	}
	return 0, true
}

// again reports whether the pair came before, by the first half of its SHA-256.
func (r *Reader) again(p Pair) bool {
	r.key = append(r.key[:0], p.Source...)
	r.key = append(r.key, 0xff) // never in UTF-8
	r.key = append(r.key, p.Target...)
	h := sha256.Sum256(r.key)
	k := [16]byte(h[:])
	_, again := r.seen[k]
	r.seen[k] = struct{}{}
	return again
}

// Report returns the counts of the pairs read so far.
func (r *Reader) Report() *Report {
	if rows, ok := r.rows.(interface{ said() []string }); ok {
		r.report.Notes = rows.said()
	}
	if len(r.inputs) > 0 {
		if wide, err := r.inputs[0].UTF16(); err == nil && wide {
			r.report.Notes = append(slices.Clone(r.report.Notes), "the file is UTF-16")
		}
	}
	r.report.File = r.o.Files.Source
	return &r.report
}

// Progress returns the bytes read so far and the size of all files.
func (r *Reader) Progress() (done, total int64) {
	for _, in := range r.inputs {
		read, size := in.file.Progress()
		done, total = done+read, total+size
	}
	return done, total
}

// Close closes the files.
func (r *Reader) Close() error {
	var err error
	for _, in := range r.inputs {
		err = errors.Join(err, in.file.Close())
	}
	r.inputs = nil
	if r.err == nil {
		r.err = errors.New("pairs: the reader is closed")
	}
	return err
}

// Text returns the remaining sentences of a part, from the source, the target or
// both sides, one a line. It is for training a tokenizer.
func (r *Reader) Text(part Part, source, target bool) io.Reader {
	return &text{r: r, part: part, source: source, target: target}
}

type text struct {
	r              *Reader
	part           Part
	source, target bool
	left           []byte
	buf            []byte
}

func (t *text) Read(p []byte) (int, error) {
	for len(t.left) == 0 {
		pair, err := t.r.Next()
		if err != nil {
			return 0, err
		}
		t.buf = t.buf[:0]
		if pair.Part == t.part && t.source {
			t.buf = append(append(t.buf, pair.Source...), '\n')
		}
		if pair.Part == t.part && t.target {
			t.buf = append(append(t.buf, pair.Target...), '\n')
		}
		t.left = t.buf
	}
	n := copy(p, t.left)
	t.left = t.left[n:]
	return n, nil
}
