// Package score measures how near texts come to reference texts: BLEU, chrF and
// TER, defined as sacreBLEU 2 defines them (Post, "A Call for Clarity in Reporting
// BLEU Scores", WMT 2018), so that the numbers can stand beside published ones.
//
// A [Metric] is fed one segment after the other and keeps sums only, so a corpus
// of any length takes the memory of its longest segment. [Lines] reads segments
// from parallel files. [E2E] has the five metrics of the E2E NLG challenge, as its
// script defines them, [Instances] reads its files.
//
// Sameness of scores rests on details that look like accidents, and some are: what
// counts as white space and as a lower-case letter is Python's choice, one range of
// Chinese characters starts at the wrong code point, and TER prepares references
// twice. They are kept and named where they occur, because a metric that is almost
// another one is of no use.
package score

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Version ends every signature. Its number rises whenever any text's score does
// change; it is ours, not a release of sacreBLEU.
const Version = "bdia.1"

// ErrOptions marks settings that no metric can work with.
var ErrOptions = errors.New("score: bad options")

// Metric sums up the statistics of a corpus. It may not be used concurrently.
type Metric interface {
	// Add counts a segment: a hypothesis and its references, one at least, all in
	// UTF-8. An empty reference is a reference of no words. Add panics without a
	// reference.
	Add(hypothesis string, references ...string)
	// Result is the score of the segments added so far.
	Result() Result
	// Reset forgets the segments.
	Reset()
}

// Result is a score with what it takes to compare it with another.
type Result struct {
	Name      string       `json:"name"`      // BLEU, chrF2, chrF2++, TER, ...
	Score     float64      `json:"score"`     // 0 to 100, in percent; TER can be above
	Signature string       `json:"signature"` // settings, in sacreBLEU's notation
	Segments  int          `json:"segments"`
	Details   fmt.Stringer `json:"details"` // BLEUDetails, CHRFDetails or TERDetails
}

// String formats the result in sacreBLEU's notation, with two decimals.
func (r Result) String() string {
	return fmt.Sprintf("%s|%s = %.2f %s", r.Name, r.Signature, r.Score, r.Details)
}

// corpus counts segments and their references.
type corpus struct {
	segments   int
	references int // of each segment; -1 when they differ
}

func (c *corpus) add(references int) {
	switch {
	case references == 0:
		panic("score: a segment without a reference")
	case c.segments == 0:
		c.references = references
	case c.references != references:
		c.references = -1
	}
	c.segments++
}

// signature joins the number of references, settings and version.
func (c *corpus) signature(settings ...string) string {
	n := "var"
	if c.references >= 0 {
		n = strconv.Itoa(c.references)
	}
	return "nrefs:" + n + "|" + strings.Join(settings, "|") + "|version:" + Version
}

// yesNo is a switch in a signature.
func yesNo(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}

// caseOf is the treatment of case in a signature.
func caseOf(lowercase bool) string {
	if lowercase {
		return "lc"
	}
	return "mixed"
}
