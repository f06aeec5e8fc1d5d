// Package verify shows, on a real model and batch, that reversible
// back-propagation is exact: every state rebuilt and every gradient is compared
// bit for bit with a run that stored its activations.
package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// Report is the result of a check.
type Report struct {
	ReconstructedActivations int64   `json:"reconstructed_activations"`
	MismatchedBits           int64   `json:"mismatched_bits"` // bits that differ from the states of the stored run
	OffGrid                  int64   `json:"off_grid"`        // activations that are not a multiple of 2^-L, forward or rebuilt
	GradientValues           int64   `json:"gradient_values"`
	GradientDifferingBits    int64   `json:"gradient_differing_bits"`
	MaxAbs                   float64 `json:"max_abs"`       // largest |x| of any state
	MaxAbsLimit              float64 `json:"max_abs_limit"` // magnitude at which the grid stops being exact
	Loss                     float64 `json:"loss"`          // mean over tokens or images, nats
	States                   []State `json:"states"`
}

// State is the fingerprint of one residual state x_k.
type State struct {
	K       int    `json:"k"`
	Forward string `json:"forward"`           // SHA-256 of its bytes in the forward pass, and of what float32 rounds off
	Reverse string `json:"reverse,omitempty"` // of the rebuilt state; empty if it was kept
}

// Exact reports whether nothing differed.
func (r *Report) Exact() bool {
	return r.MismatchedBits == 0 && r.OffGrid == 0 && r.GradientDifferingBits == 0
}

// Fault is deliberate damage between the forward pass and the reverse walk. It
// shows that the check can fail.
type Fault string

const (
	NoFault   Fault = "none"
	SideBit   Fault = "side-bit"  // one bit of the side information of x_0
	StateBit  Fault = "state-bit" // one bit of the state x_{K-2}
	WeightBit Fault = "weight"    // one bit of a weight of block 1, which rebuilds x_0
)

// Faults lists the kinds of damage.
func Faults() []Fault { return []Fault{NoFault, SideBit, StateBit, WeightBit} }

// ErrOptions is wrapped by errors about options that cannot be checked.
var ErrOptions = errors.New("cannot be verified")

// minBlocks is the smallest depth at which any state is rebuilt.
const minBlocks = 3

// Plan returns the peak memory that Run needs for the subject that fresh makes, on
// the given device.
func Plan(fresh func(be backend.Backend) (Subject, error), opt bdia.Options, device backend.Options) (backend.Usage, error) {
	be, err := backend.NewPlan(device)
	if err != nil {
		return backend.Usage{}, err
	}
	s, err := fresh(be)
	if err != nil {
		return backend.Usage{}, err
	}
	for _, o := range []bdia.Options{stored(opt), opt} {
		r, err := s.exact(o)
		if err != nil {
			return backend.Usage{}, err
		}
		if _, err := r.Step(backend.Pass{Train: true}, 1, &gradients{be: be}); err != nil {
			return backend.Usage{}, err
		}
	}
	return be.Peak(), nil
}

// stored returns opt with every activation kept.
func stored(opt bdia.Options) bdia.Options {
	opt.Memory = bdia.Store
	return opt
}

// Run checks one training pass of s with options opt: first with stored
// activations, then reversibly. Weights do not change.
func Run(be backend.Backend, s Subject, opt bdia.Options, pass backend.Pass, fault Fault) (*Report, error) {
	if opt.Memory != bdia.Reversible {
		return nil, fmt.Errorf("verify: %w: memory mode %v rebuilds nothing; use reversible", ErrOptions, opt.Memory)
	}
	if fault == "" {
		fault = NoFault
	}
	if !slices.Contains(Faults(), fault) {
		return nil, fmt.Errorf("verify: %w: unknown fault %q; there are %v", ErrOptions, fault, Faults())
	}
	K := s.Blocks
	if fault != NoFault && K < minBlocks {
		return nil, fmt.Errorf("verify: %w: with %d blocks nothing is rebuilt; use at least %d", ErrOptions, K, minBlocks)
	}
	if fault == WeightBit && !s.rebuildingWeight().Valid() {
		return nil, fmt.Errorf("verify: %w: block 1 has no weight %sblocks.1.mlp.fc2.weight to damage; use another fault", ErrOptions, s.Prefix)
	}
	pass.Train = true
	scale := 1 / float32(s.Losses)
	ref, err := s.exact(stored(opt))
	if err != nil {
		return nil, err
	}
	states := make([]state, K+1)
	ref.Stack.Observe = func(k int, x tensor.Tensor) { states[k] = newState(be, x, ref.Stack.Rest(k)) }
	want := &gradients{be: be, host: map[string][]float32{}}
	if _, err := ref.Step(pass, scale, want); err != nil {
		return nil, err
	}

	rev, err := s.exact(opt)
	if err != nil {
		return nil, err
	}
	r := &Report{MaxAbsLimit: opt.Grid.Limit(), States: make([]State, K+1)}
	c := &checker{report: r, want: states, unit: math.Ldexp(1, int(opt.Grid))}
	injector := &injector{be: be, stack: rev.Stack, fault: fault, blocks: K, weight: s.rebuildingWeight()}
	rev.Stack.Observe = func(k int, x tensor.Tensor) {
		c.state(k, newState(be, x, rev.Stack.Rest(k)))
		injector.observe(k, x)
	}
	sink := &gradients{be: be, compare: want.host, report: r}
	losses, err := rev.Step(pass, scale, sink)
	injector.undo()
	if err != nil {
		return nil, err
	}
	r.MaxAbs, r.Loss = rev.Stack.MaxAbs(), model.AddLosses(0, losses)/float64(s.Losses)
	return r, nil
}

// checker compares states with the stored run's.
type checker struct {
	report *Report
	want   []state
	unit   float64 // 2^L
	top    bool    // the forward pass has reached x_K
}

func (c *checker) state(k int, got state) {
	hash := got.fingerprint()
	if c.top {
		c.report.States[k].Reverse = hash
		c.report.ReconstructedActivations += int64(len(got.values))
	} else {
		c.report.States[k] = State{K: k, Forward: hash}
		c.top = k == len(c.want)-1
	}
	c.report.MismatchedBits += differingBits(got.values, c.want[k].values)
	for i, r := range got.rests {
		c.report.MismatchedBits += int64(bits.OnesCount8(r ^ c.want[k].rests[i]))
	}
	for _, v := range got.values {
		if y := float64(v) * c.unit; y != math.Trunc(y) {
			c.report.OffGrid++
		}
	}
}

// gradients is a Sink that keeps gradients on the host, compares them with kept
// ones, or drops them.
type gradients struct {
	be      backend.Backend
	host    map[string][]float32 // if not nil, keep gradients here
	compare map[string][]float32 // if not nil, compare with these
	report  *Report
}

// Open allocates cleared gradients above whatever is in the arena.
func (g *gradients) Open(params []*tensor.Param) { bdia.AllocGrads(g.be, params) }

// Close takes the gradients.
func (g *gradients) Close(params []*tensor.Param) {
	for _, p := range params {
		if g.host != nil {
			g.host[p.Name] = download(g.be, p.Grad)
		}
		if g.compare != nil {
			got := download(g.be, p.Grad)
			g.report.GradientValues += int64(len(got))
			g.report.GradientDifferingBits += differingBits(got, g.compare[p.Name])
		}
	}
}

// injector does the damage after the forward pass.
type injector struct {
	be     backend.Backend
	stack  *bdia.Stack
	fault  Fault
	blocks int
	weight tensor.Tensor
	kept   tensor.Tensor // the buffer of x_{K-2}
	done   bool
}

func (i *injector) observe(k int, x tensor.Tensor) {
	if k == i.blocks-2 && !i.done {
		i.kept = x
	}
	if k != i.blocks || i.done {
		return
	}
	i.done = true
	switch i.fault {
	case SideBit:
		side := i.stack.Side().Of(0)
		host := make([]byte, side.Len())
		i.be.DownloadBytes(host, side)
		host[len(host)/2] ^= 1
		i.be.UploadBytes(side, host)
	case StateBit:
		flip(i.be, i.kept)
	case WeightBit:
		flip(i.be, i.weight)
	}
}

// undo restores the weight.
func (i *injector) undo() {
	if i.done && i.fault == WeightBit {
		flip(i.be, i.weight)
	}
}

// rebuildingWeight returns a matrix of block 1, or none in a model of one block.
// Block 0 will not do: it rebuilds no state, so damage there shows only in
// gradients.
func (s Subject) rebuildingWeight() tensor.Tensor {
	for _, p := range s.Params {
		if p.Name == s.Prefix+"blocks.1.mlp.fc2.weight" {
			return p.Value
		}
	}
	return tensor.Tensor{}
}

// flip flips one high bit of the fraction of the tensor's largest value.
func flip(be backend.Backend, x tensor.Tensor) {
	host := download(be, x)
	at := 0
	for i, v := range host {
		if math.Abs(float64(v)) > math.Abs(float64(host[at])) {
			at = i
		}
	}
	host[at] = math.Float32frombits(math.Float32bits(host[at]) ^ 1<<22)
	be.Upload(x, host)
}

func download(be backend.Backend, x tensor.Tensor) []float32 {
	host := make([]float32, x.Len())
	be.Download(host, x)
	return host
}

// differingBits counts the bits in which a and b differ.
func differingBits(a, b []float32) (n int64) {
	for i := range a {
		n += int64(bits.OnesCount32(math.Float32bits(a[i]) ^ math.Float32bits(b[i])))
	}
	return n
}

// state is one residual state on the host.
type state struct {
	values []float32
	rests  []byte // what float32 rounds off, in units
}

func newState(be backend.Backend, x, rest tensor.Tensor) state {
	s := state{values: download(be, x)}
	if rest.Valid() {
		s.rests = make([]byte, rest.Len())
		be.DownloadBytes(s.rests, rest)
	}
	return s
}

// fingerprint returns the start of the SHA-256 of the values as little-endian bytes, and then of the rests if there is
// one that is not 0.
func (s state) fingerprint() string {
	h, word := sha256.New(), make([]byte, 0, 4)
	for _, v := range s.values {
		h.Write(binary.LittleEndian.AppendUint32(word, math.Float32bits(v)))
	}
	if bytes.Count(s.rests, []byte{0}) < len(s.rests) {
		h.Write(s.rests)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Drift runs a training pass of s without a grid and reports the error of states
// reconstructed in floating point: of x_{K-2} down to x_0 (see bdia.Stack.Drift),
// or pair by pair for a model of two streams, with gamma 0 (see
// bdia.TwoStream.Drift).
func Drift(s Subject, gamma bdia.Gamma, pass backend.Pass, report func(k int, rms, largest float64)) error {
	t, err := s.With(bdia.Options{Memory: bdia.Recompute, Gamma: gamma, Grid: bdia.NoGrid})
	if err != nil {
		return err
	}
	if t.Stack != nil && s.Blocks < minBlocks {
		return fmt.Errorf("verify: %w: with %d blocks no state is solved for, so nothing drifts; use at least %d", ErrOptions, s.Blocks, minBlocks)
	}
	pass.Train = true
	return t.Drift(pass, report)
}

// PlanDrift returns the peak memory that Drift needs for the subject that fresh
// makes, on the given device.
func PlanDrift(fresh func(be backend.Backend) (Subject, error), gamma bdia.Gamma, device backend.Options) (backend.Usage, error) {
	be, err := backend.NewPlan(device)
	if err != nil {
		return backend.Usage{}, err
	}
	s, err := fresh(be)
	if err != nil {
		return backend.Usage{}, err
	}
	err = Drift(s, gamma, backend.Pass{}, func(int, float64, float64) {})
	return be.Peak(), err
}
