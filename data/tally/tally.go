// Package tally counts what is left out of data, or changed, by reason and with the place of the first, so that nothing
// is passed over in silence.
package tally

import "slices"

// LeftOut counts the things that were left out, or changed, for one reason.
type LeftOut struct {
	What   string `json:"what"`   // a plural: files, rows, images, links
	Reason string `json:"reason"` // fits behind a number and What: "not UTF-8", "with a column missing"
	Count  int64  `json:"count"`
	First  string `json:"first"` // place of the first, and more about it: "notes/a.txt, line 3: byte 0xe9"
	Kept   bool   `json:"kept"`  // they are used all the same, changed: truncated, for example
}

// List has an entry for each kind of things and reason.
type List []LeftOut

// Count counts n things. An entry keeps the place of its first; n of 0 makes none.
func (l *List) Count(n int64, what, reason, first string, kept bool) {
	if n == 0 {
		return
	}
	i := slices.IndexFunc(*l, func(o LeftOut) bool { return o.What == what && o.Reason == reason })
	if i < 0 {
		*l = append(*l, LeftOut{what, reason, n, first, kept})
		return
	}
	(*l)[i].Count += n
}
