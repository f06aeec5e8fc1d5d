package pairs

import "fmt"

// Need says how many tokens pairs have, before anything is cut off or left out: of both sides together where a model
// reads them as one text, else of the longer side.
type Need struct {
	Limit     int // that pairs may have; 0: nothing was encoded, or the model has no limit
	Long      int // pairs that have more
	Median    int // of these
	Max       int
	Together  bool // both sides are one text
	Most, All int  // limits that 99 % of the pairs, or all of them, are within
}

// String says so in one clause.
func (n Need) String() string {
	return fmt.Sprintf("the limit is %d tokens; %d pairs are over it, with %d tokens in the median and %d at most; a limit of %d keeps 99 %% of all pairs, %d keeps all",
		n.Limit, n.Long, n.Median, n.Max, n.Most, n.All)
}

// length counts the tokens of a pair.
func (r *Report) length(o EncodeOptions, source, target int) {
	n, limit := max(source, target), max(o.SourcePositions, o.TargetPositions)
	if o.Positions > 0 {
		n, limit = source+target, o.Positions
	}
	if limit == 0 {
		return
	}
	r.limit, r.together = limit-1, o.Positions > 0
	if missing := n + 1 - len(r.lengths); missing > 0 {
		r.lengths = append(r.lengths, make([]int, missing)...)
	}
	r.lengths[n]++
}

// Need returns how long the pairs are that were encoded.
func (r *Report) Need() Need {
	n := Need{Limit: r.limit, Together: r.together}
	all := 0
	for length, count := range r.lengths {
		all += count
		if count > 0 {
			n.All = length
		}
		if length > n.Limit {
			n.Long += count
		}
	}
	// quantile is the least length that so many pairs are within.
	quantile := func(lengths []int, pairs int) (at int) {
		for at < len(lengths)-1 && pairs > lengths[at] {
			pairs -= lengths[at]
			at++
		}
		return at
	}
	n.Most = quantile(r.lengths, (99*all+99)/100)
	if n.Long > 0 {
		over := r.lengths[n.Limit+1:]
		n.Median, n.Max = n.Limit+1+quantile(over, (n.Long+1)/2), n.All
	}
	return n
}

// LongError is the error of pairs of which none is short enough. It is an ErrNoPairs.
type LongError struct {
	File string
	Need
	Report *Report
}

// Error says how long they are.
func (e *LongError) Error() string {
	return fmt.Sprintf("pairs: %s: %v: %v; %v", e.File, ErrNoPairs, e.Report, e.Need)
}

// Unwrap makes errors.Is(err, ErrNoPairs) true.
func (e *LongError) Unwrap() error { return ErrNoPairs }
