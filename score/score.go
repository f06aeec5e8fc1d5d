// Package score compares texts with reference texts: BLEU, chrF and TER, defined as
// in sacreBLEU 2 (Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018),
// so that the numbers can be compared with published ones.
//
// A [Metric] takes one segment after the other and keeps only sums, so the memory
// for a corpus depends on its longest segment, not on its length. [Lines] reads
// segments from parallel files. [E2E] has the five metrics of the E2E NLG
// challenge, as its script defines them, and [Instances] reads the challenge's
// files.
//
// Equal scores need equal details, even accidental ones. For example, Python
// decides what counts as white space and lower case, one range of Chinese
// characters starts at the wrong code point, and TER prepares references twice. The
// code keeps these details and comments on each: a metric that is almost BLEU is of
// no use.
package score

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Version ends every signature. Its number rises whenever the score of any text
// changes; it is ours, not a release of sacreBLEU.
const Version = "bdia.2"

// ErrOptions is wrapped by errors about settings that make no sense.
var ErrOptions = errors.New("score: bad options")

// Metric scores a corpus. It may not be used concurrently.
type Metric interface {
	// Add counts a segment: a hypothesis and its references, at least one, all in
	// UTF-8. An empty reference has no words. Add panics without a reference.
	Add(hypothesis string, references ...string)
	// Result returns the score of the segments added so far.
	Result() Result
	// Reset forgets the segments.
	Reset()
}

// Result is a score with the settings and details that make it comparable.
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
	references int // per segment; -1 if segments differ
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

// yesNo writes a switch for a signature.
func yesNo(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}

// caseOf writes the treatment of case for a signature.
func caseOf(lowercase bool) string {
	if lowercase {
		return "lc"
	}
	return "mixed"
}
