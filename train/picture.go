package train

import (
	"encoding/json"
	"slices"

	"github.com/bdia-go/bdia/data/tally"
)

// Pictured is a Task that shows its data. They are open (see Task).
type Pictured interface {
	// Picture describes the data, with up to so many samples.
	Picture(samples int) (Picture, error)
}

// Picture is what a run learns from, as it was read. Nothing is left out of a run that is not counted here.
type Picture struct {
	Counts  []Count    `json:"counts"`   // what was read, from the largest things to the smallest: files, then pairs, for example
	LeftOut tally.List `json:"left_out"` // what was not used, or not as it was, by its reason
	Parts   []Part     `json:"parts"`    // what is trained on, and what is held out
	Lengths []Lengths  `json:"lengths"`
	Classes []Class    `json:"classes,omitempty"`
	Samples []Sample   `json:"samples"`
	Notes   []string   `json:"notes"` // what a user should know, a sentence each: which columns were taken, for example
}

// MarshalJSON writes p with lists for lists that are nil.
func (p Picture) MarshalJSON() ([]byte, error) {
	type picture Picture
	p.Counts, p.LeftOut, p.Parts = listed(p.Counts), listed(p.LeftOut), listed(p.Parts)
	p.Lengths, p.Samples, p.Notes = listed(p.Lengths), slices.Clone(listed(p.Samples)), listed(p.Notes)
	for i := range p.Samples {
		p.Samples[i].Pieces = listed(p.Samples[i].Pieces)
	}
	return json.Marshal(picture(p))
}

// listed is list, or an empty one.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Count says how many things of a kind were read, and how many of them are used.
type Count struct {
	What string `json:"what"` // a plural: files, documents, pairs, images
	Read int64  `json:"read"`
	Used int64  `json:"used"`
}

// Part is the data of one use.
type Part struct {
	Name    string `json:"name"`    // train, val or test
	Samples int64  `json:"samples"` // documents, pairs or images
	Unit    string `json:"unit"`    // of Losses: tokens or images
	Losses  int64  `json:"losses"`  // what is learned in one pass, or measured
}

// Lengths are quantiles of a length over the training data.
type Lengths struct {
	What   string `json:"what"` // "prompt", "document", "width"
	Unit   string `json:"unit"` // tokens, characters, pixels
	Min    int    `json:"min"`
	Median int    `json:"median"`
	P90    int    `json:"p90"`
	P99    int    `json:"p99"`
	Max    int    `json:"max"`
}

// Class is a class of images.
type Class struct {
	Name  string `json:"name"`
	Train int64  `json:"train"`
	Val   int64  `json:"val"`
}

// Sample is one sample as the model sees it.
type Sample struct {
	Place  string  `json:"place"` // where it was read, if that is known: "pairs.csv, line 2"
	Pieces []Piece `json:"pieces"`
}

// Piece is a part of a sample in order.
type Piece struct {
	Text   string `json:"text"`
	Counts bool   `json:"counts"` // the model learns to say it: its tokens have losses
}

// LengthsOf returns the quantiles of ns, which it sorts. Of no lengths all are 0.
func LengthsOf(what, unit string, ns []int) Lengths {
	l := Lengths{What: what, Unit: unit}
	if len(ns) == 0 {
		return l
	}
	slices.Sort(ns)
	at := func(percent int) int { return ns[max(0, (len(ns)*percent+99)/100-1)] }
	l.Min, l.Median, l.P90, l.P99, l.Max = at(0), at(50), at(90), at(99), at(100)
	return l
}
