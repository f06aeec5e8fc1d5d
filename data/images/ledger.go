package images

import (
	"slices"

	"github.com/bdia-go/bdia/data/tally"
)

// Unused is a set that a data set has and that is neither learned nor measured.
type Unused struct {
	Name   string // of its folder
	Images int64
}

// ledger is what is known of a data set beside its images. Nothing is passed over that is not counted here.
type ledger struct {
	files   int64 // all that were seen
	leftOut tally.List
	unused  []Unused
	notes   []string
}

// leave counts one thing that is left out.
func (l *ledger) leave(what, reason, first string) { l.leftOut.Count(1, what, reason, first, false) }

func (l *ledger) note(text string) {
	if !slices.Contains(l.notes, text) {
		l.notes = append(l.notes, text)
	}
}
