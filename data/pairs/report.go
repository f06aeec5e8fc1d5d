package pairs

import (
	"fmt"
	"strings"
)

// Reason is the reason to leave out or change a pair.
type Reason uint8

const (
	Incomplete Reason = iota // a row lacks one of its columns
	NotUTF8                  // a sentence is not UTF-8
	Empty                    // a sentence is empty
	Short                    // Filter.MinChars
	Long                     // Filter.MaxChars
	Ratio                    // Filter.MaxRatio
	Duplicate                // Filter.KeepDuplicates
	NoTokens                 // the tokenizer has no tokens for a sentence
	ManyTokens               // a sentence has more tokens than allowed
	Truncated                // the same, but the pair was shortened and kept
	NotJSON                  // a line of JSONL is not a JSON object
	NoTalk                   // its messages are not a list of roles and texts
	NoAnswer                 // none of its messages is the assistant's
	LongTalk                 // it has over 1000 messages
	OpenQuote                // a quotation mark has no end
	MoreFields               // a row has more fields than the header
	Repeated                 // a row is the header again
	Unlearned                // a turn is marked as one that is not learned
	Refused                  // EncodeOptions.Joint refuses it
	LongRow                  // it has more than MaxLine bytes
	numReasons
)

// String returns the reason in words.
func (r Reason) String() string {
	return [numReasons]string{"with a column missing", "not UTF-8", "empty", "too short", "too long", "of too different lengths", "duplicate",
		"that the tokenizer cannot encode", "of too many tokens", "truncated",
		"not a JSON object", "with messages that cannot be read", "without an answer of the assistant", "of too many messages",
		"with a quotation mark that has no end", "with more fields than the header", "equal to the header", "marked as not to be learned",
		"that the chat template refuses", "longer than 1 MiB"}[r]
}

// Kept reports whether pairs with this reason are used all the same.
func (r Reason) Kept() bool { return r == Truncated }

// maxExamples is the number of example pairs kept for each reason, maxExample the
// length of a kept sentence in bytes.
const (
	maxExamples = 3
	maxExample  = 100
)

// Tally counts the pairs with one reason and has the first of them as examples, with
// sentences cut to 100 bytes.
type Tally struct {
	Count  int
	First  []Pair
	Detail string // more about the first example, if anything
}

// Report counts the pairs of a text. Read is the sum of Kept and of the counts of all
// reasons except the ones that keep the pair.
type Report struct {
	File          string            // of the sources, or of both sides
	Notes         []string          // which columns or keys were taken, for example
	Read          int               // pairs
	Conversations int               // that some of them are from
	Alike         bool              // these nearly all begin alike, so that all that is asked decides their part (see Draws)
	Kept          [Test + 1]int     // of each part
	Why           [numReasons]Tally // by Reason

	limit    int // of Need
	together bool
	lengths  []int // how many pairs have so many tokens
}

func (r *Report) count(why Reason, p Pair, detail string) {
	t := &r.Why[why]
	if t.Count == 0 {
		t.Detail = detail
	}
	if t.Count++; len(t.First) < maxExamples {
		p.Source, p.Target = strings.Clone(clip(p.Source)), strings.Clone(clip(p.Target))
		p.Talk = nil
		t.First = append(t.First, p)
	}
}

// clip returns the beginning of a sentence, cut between characters.
func clip(s string) string {
	if len(s) <= maxExample {
		return s
	}
	end := 0
	for i := range s {
		if i > maxExample {
			break
		}
		end = i
	}
	return s[:end]
}

// drop moves a pair from the kept ones to reason why.
func (r *Report) drop(why Reason, p Pair, detail string) {
	r.Kept[p.Part]--
	r.count(why, p, detail)
}

// Err returns the error for a report without kept pairs: ErrColumns if every row
// lacks a column, else ErrNoPairs.
func (r *Report) Err() error {
	if r.Read > 0 && r.Why[Incomplete].Count == r.Read {
		return ErrColumns
	}
	return ErrNoPairs
}

// Advice is what to do about a report without kept pairs, or nothing.
func (r *Report) Advice() string {
	switch {
	case r.Read == 0:
		return ": the file is empty, or has nothing but a header; is it the right one?"
	case 2*r.Why[NotUTF8].Count > r.Read:
		return ": convert the file to UTF-8, for example with iconv -f cp1252 -t utf-8"
	case 2*r.Why[Refused].Count > r.Read:
		return ": write the conversations as the model's chat template takes them, or train without the template"
	}
	return ""
}

// Skipped returns the number of pairs left out.
func (r *Report) Skipped() int { return r.Read - r.Kept[Train] - r.Kept[Val] - r.Kept[Test] }

// String returns one line: "12 pairs read, 9 kept (8 train, 1 val); 2 empty (first in
// line 3), 1 duplicate (first in line 7)".
func (r *Report) String() string {
	var b strings.Builder
	pairs := "pairs"
	if r.Read == 1 {
		pairs = "pair"
	}
	fmt.Fprintf(&b, "%d %s read, %d kept", r.Read, pairs, r.Read-r.Skipped())
	if r.Kept[Val]+r.Kept[Test] > 0 {
		fmt.Fprintf(&b, " (%d train, %d val, %d test)", r.Kept[Train], r.Kept[Val], r.Kept[Test])
	}
	separator := "; "
	for why, t := range r.Why {
		if t.Count > 0 {
			fmt.Fprintf(&b, "%s%d %s (first in line %d", separator, t.Count, Reason(why), t.First[0].Line)
			if t.Detail != "" {
				fmt.Fprintf(&b, ": %s", t.Detail)
			}
			b.WriteByte(')')
			separator = ", "
		}
	}
	return b.String()
}
