package train

import (
	"slices"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// guard is a sink between the others and the updates. It seals tensors after a checked step: it keeps their digests.
// When the next step is about to update a parameter, its values, moments and average have to be what they were. Frozen
// parameters stay sealed, and are compared at every checked step.
type guard struct {
	Sink
	be      backend.Backend
	checked func(step int) bool
	tensors []guarded
	of      map[*tensor.Param][]int // a parameter's tensors
	shared  []int                   // moments of no parameter, which any update may change
	rest    []int                   // tensors that no update changes: compared at the end of a step
	average *optim.Average
	sums    tensor.Tensor // (2,n,2): sealed, and now
	host    []int32       // the same
	step    int
	fresh   bool // the tensors have just got their values: nothing is sealed
	params  int  // tensors[:params] are the values of trainable parameters
}

// guarded is one tensor.
type guarded struct {
	name   string
	value  func() tensor.Tensor
	frozen bool
	sealed bool
	taken  bool // its digest has been taken in the step at hand
}

// newGuard returns a guard of what s trains, before next. It allocates the digests.
func newGuard(s *Session, next Sink) *guard {
	g := &guard{Sink: next, fresh: true, be: s.be, checked: s.checked, of: map[*tensor.Param][]int{}, average: s.average}
	trainable := s.Learner.Trainable()
	add := func(name string, frozen bool, value func() tensor.Tensor) int {
		g.tensors = append(g.tensors, guarded{name: name, frozen: frozen, value: value})
		return len(g.tensors) - 1
	}
	for _, p := range trainable {
		g.of[p] = append(g.of[p], add(p.Name, false, func() tensor.Tensor { return p.Value }))
	}
	g.params = len(g.tensors)
	for _, m := range s.Optimizer.Moments() {
		i := add("moment "+m.Name, false, func() tensor.Tensor { return m.Value })
		if p := ownerOf(m.Name, trainable); p != nil {
			g.of[p] = append(g.of[p], i)
		} else {
			g.shared = append(g.shared, i)
		}
	}
	if s.average != nil {
		for i, p := range trainable {
			g.rest = append(g.rest, add("average of "+p.Name, false, func() tensor.Tensor { return s.average.Values()[i] }))
		}
	}
	frozen := slices.Clone(s.Learner.Params())
	for _, c := range abilities[Constant](s.Learner) {
		frozen = append(frozen, c.Constants()...)
	}
	for _, p := range frozen {
		if g.of[p] == nil {
			g.rest = append(g.rest, add(p.Name, true, func() tensor.Tensor { return p.Value }))
		}
	}
	g.sums = s.be.Alloc(backend.Data, tensor.I32, tensor.Shape{2, len(g.tensors), 2})
	s.be.Zero(g.sums)
	g.host = make([]int32, g.sums.Len())
	return g
}

// ownerOf is the parameter that a moment's name begins with; nil if there is none.
func ownerOf(moment string, params []*tensor.Param) (owner *tensor.Param) {
	for _, p := range params {
		if strings.HasPrefix(moment, p.Name+".") && (owner == nil || len(p.Name) > len(owner.Name)) {
			owner = p
		}
	}
	return owner
}

// forget breaks all seals: the tensors get other values, which start seals, at the latest when the next step begins.
func (g *guard) forget() {
	g.fresh = true
	for i := range g.tensors {
		g.tensors[i].sealed = false
	}
}

// start seals the tensors if they have just got their values.
func (g *guard) start() {
	if !g.fresh {
		return
	}
	g.fresh = false
	for i := range g.tensors {
		g.seal(i)
	}
}

func (g *guard) Begin(step int, lr float64) {
	g.step = step
	g.start()
	for i := range g.tensors {
		g.tensors[i].taken = false
	}
	g.Sink.Begin(step, lr)
}

// seal keeps the digest of a tensor.
func (g *guard) seal(i int) {
	t := &g.tensors[i]
	t.sealed = true
	g.be.Digest(g.sums.Index(0).RowRange(i, i+1), t.value())
}

// look takes the digest of a sealed tensor, to be compared at the end of the step.
func (g *guard) look(i int) {
	if t := &g.tensors[i]; t.sealed && !t.taken && (!t.frozen || g.checked(g.step)) {
		t.taken = true
		g.be.Digest(g.sums.Index(1).RowRange(i, i+1), t.value())
	}
}

// Close looks at the tensors of params before they are updated.
func (g *guard) Close(params []*tensor.Param) {
	for _, i := range g.shared {
		g.look(i)
	}
	for _, p := range params {
		for _, i := range g.of[p] {
			g.look(i)
		}
	}
	g.Sink.Close(params)
}

// End fails if a tensor has lost its bits since it was sealed.
func (g *guard) End() (float64, error) {
	norm, err := g.Sink.End()
	if err != nil {
		return norm, err
	}
	for _, i := range g.rest {
		g.look(i)
	}
	return norm, g.compare()
}

// compare fails with a CorruptionError for the first tensor that has changed.
func (g *guard) compare() error {
	read := false
	for i := range g.tensors {
		if !g.tensors[i].taken {
			continue
		}
		if !read {
			g.be.DownloadInts(g.host, g.sums)
			read = true
		}
		if was, is := g.host[2*i:], g.host[len(g.host)/2+2*i:]; backend.DigestOf(was) != backend.DigestOf(is) {
			return &bdia.CorruptionError{Step: g.step, Tensor: g.tensors[i].name}
		}
	}
	return nil
}

// failed fails if a sealed tensor was not what it was in a step that diverged: that may be why. The seals of tensors
// that the step has updated before are broken.
func (g *guard) failed() error {
	var updated []int
	for i := range g.tensors {
		switch t := &g.tensors[i]; {
		case t.taken && !t.frozen:
			updated = append(updated, i)
		case t.sealed && !t.taken:
			t.taken = true
			g.be.Digest(g.sums.Index(1).RowRange(i, i+1), t.value())
		}
	}
	err := g.compare()
	for _, i := range updated {
		g.tensors[i].sealed = false
	}
	return err
}

// verify fails if a tensor that is sealed between steps is not what it was.
func (g *guard) verify() error {
	for i := range g.tensors {
		if t := &g.tensors[i]; t.sealed {
			t.taken = true
			g.be.Digest(g.sums.Index(1).RowRange(i, i+1), t.value())
		} else {
			t.taken = false
		}
	}
	return g.compare()
}

// finish seals what a checked step has updated, the average included, and breaks the seals of another step.
func (g *guard) finish() {
	on := g.checked(g.step)
	for i := range g.tensors {
		switch t := &g.tensors[i]; {
		case t.frozen:
		case on:
			g.seal(i)
		default:
			t.sealed = false
		}
	}
}

// sealed reads the digests of the trainable parameters, which are sealed.
func (g *guard) sealed(each func(name string, sum uint64)) {
	g.be.DownloadInts(g.host, g.sums)
	for i := range g.params {
		each(g.tensors[i].name, backend.DigestOf(g.host[2*i:]))
	}
}
