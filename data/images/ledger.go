package images

import "slices"

// LeftOut counts the things that were left out of a data set, or changed, for one reason.
type LeftOut struct {
	What   string // a plural: files, images, folders, links
	Reason string // fits behind a number and What: "that lead nowhere"
	Count  int64
	First  string // path of the first
	Kept   bool   // they are used all the same, changed
}

// Unused is a set that a data set has and that is neither learned nor measured.
type Unused struct {
	Name   string // of its folder
	Images int64
}

// ledger is what is known of a data set beside its images. Nothing is passed over that is not counted here.
type ledger struct {
	files   int64 // all that were seen
	leftOut []LeftOut
	unused  []Unused
	notes   []string
}

// leave counts one thing that is left out.
func (l *ledger) leave(what, reason, first string) { l.count(LeftOut{what, reason, 1, first, false}) }

func (l *ledger) count(one LeftOut) {
	if one.Count == 0 {
		return
	}
	i := slices.IndexFunc(l.leftOut, func(o LeftOut) bool { return o.What == one.What && o.Reason == one.Reason })
	if i < 0 {
		l.leftOut = append(l.leftOut, one)
		return
	}
	l.leftOut[i].Count += one.Count
}

func (l *ledger) note(text string) {
	if !slices.Contains(l.notes, text) {
		l.notes = append(l.notes, text)
	}
}
