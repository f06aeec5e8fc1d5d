// Package backend is the seam between the mathematics of transformers and the
// machines that run it: one interface of fused operations on opaque memory.
//
// # Order and waiting
//
// Operations run in the order of their calls, perhaps later than the call: a backend may
// put them in a queue. The calls that read (Download and its kin) and Sync return when
// everything called before them is done. So this is right on every backend:
//
//	be.Upload(x, host)   // has taken host's values when it returns,
//	host[0] = 7          // so host may change at once
//	be.Add(y, x, x)      // may run later
//	be.Release(mark)     // x's memory goes to operations that are called later, and so run later
//	be.Download(host, y) // waits, and then host holds the sum
//
// Uploads have taken their source when they return: the caller reuses its slice at once.
// Everything else that is passed by value (shapes, scalars, a Draw, an AttentionSpec) is
// taken too. Release needs no Sync before it, but tensors that were released must not be
// passed to a call any more.
//
// # Shapes and sums
//
// Tensors are row-major; (B,T,C) is batch, time, channels; a "row" is the last
// dimension. Operations panic on shapes that do not fit and on tensors of another
// backend's arena. Sums have the fixed order that package kernel documents, so results
// do not depend on threads or on how samples are split into micro-batches.
//
// # Weights in BF16
//
// Weights may be of type BF16, and operations give the bits that the same values in F32 give: the tables of Embed, w of
// Linear, LinearAdd and LinearBackwardInput, x of Lerp, src of Copy, what AddSquares and Digest read, and p of the
// optimisers, which round each updated value stochastically (see Rounding). Download gives their values, and Upload
// rounds to nearest, ties to even.
//
// # Activations in BF16
//
// With the precision BFloat16, products round their operands (see Linear), and activations that only products read
// may be of type BF16. Such an operation computes in float32 and rounds what it writes once, to nearest: y and x of
// GELU, GatedSiLU, Dropout and their gradients, y of LayerNorm, x and y of RMSNorm and x of its gradient, x of
// Rotate, y and a of Add, the wide operand of TakeColumns and AddColumns, t of Scale, and what CopyRows copies.
// Attention wants q, k, v, out and dout in BF16 then, and writes its gradients in F32. Everything else is F32, or the
// type that an operation names.
package backend

import (
	"cmp"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/tensor"
)

// Backend runs the operations of training and inference on one device.
type Backend interface {
	// Limits returns the sizes beyond which operations panic.
	Limits() Limits
	// Precision returns the type that operands of matrix products are rounded to.
	Precision() Precision

	// Memory: see Arena.
	Alloc(c Component, d tensor.DType, s tensor.Shape) tensor.Tensor
	Mark() Mark
	Release(m Mark)
	Peak() Usage

	// Upload and Download, with their kin for other element types, copy between host
	// and device; lengths must match. An upload has taken its source when it returns,
	// and a download waits for everything called before it.
	Upload(dst tensor.Tensor, src []float32)
	Download(dst []float32, src tensor.Tensor)
	UploadInts(dst tensor.Tensor, src []int32)
	DownloadInts(dst []int32, src tensor.Tensor)
	UploadBytes(dst tensor.Tensor, src []byte)
	DownloadBytes(dst []byte, src tensor.Tensor)
	// DownloadScalar returns the one float64 (F64) of src.
	DownloadScalar(src tensor.Tensor) float64
	// Sync waits until everything called before it is done.
	Sync()

	// Zero clears t; Copy copies src, of the same size and type, to dst; or BF16 to F32.
	Zero(t tensor.Tensor)
	Copy(dst, src tensor.Tensor)
	// CopyRows copies rows of src to rows of dst, which do not overlap: for each row
	// (to, from) of pairs (n,2), int32, row from of src becomes row to of dst. No row of
	// dst is named twice. For example, pairs (0,2),(1,2) give the first two rows of dst
	// the third of src.
	CopyRows(dst, src, pairs tensor.Tensor)
	// Add writes y = a + b; y may be a or b.
	Add(y, a, b tensor.Tensor)
	// Scale multiplies t by a.
	Scale(t tensor.Tensor, a float32)
	// Lerp moves y towards x: y += a*(x-y).
	Lerp(y, x tensor.Tensor, a float32)
	// AddSquares adds the sum of the squares of t to sum, one float64 (F64). So the
	// norm of a list of tensors takes one call each and one DownloadScalar.
	AddSquares(sum, t tensor.Tensor)

	// Digest writes the digests of the parts of x, of any element type but F64, to sums (parts,2), int32: the low and
	// the high half of the sum over i of bits(x[i])*w(i) mod 2^64. Here i counts the elements of the part, bits is an
	// element as an unsigned number, and w(i) = (2i+1)*0x9e3779b9 mod 2^32. So one flipped bit, or any other change of
	// one element, changes the digest. For example, sums (B,2) of x (B,T,C) are the digests of the samples.
	Digest(sums, x tensor.Tensor)

	// TakeColumns copies columns at, at+1, ... of x (N,W) to y (N,n); AddColumns adds x (N,n) to
	// columns at, at+1, ... of y (N,W).
	TakeColumns(y, x tensor.Tensor, at int)
	AddColumns(y, x tensor.Tensor, at int)

	// Embed writes x[b,t] = wte[ids[b,t]] + wpe[t]. x (B,T,C), ids (B,T),
	// wte (V,C), wpe (>=T,C) or none. Ids must be below V.
	Embed(x, ids, wte, wpe tensor.Tensor)
	// EmbedBackward adds the gradients of both tables; dwpe may be none.
	EmbedBackward(dwte, dwpe, dx, ids tensor.Tensor)

	// The products below round their operands as Precision says. With BFloat16, an operand may be of BF16 itself, and so
	// may y of Linear and dx of LinearBackwardInput: they are rounded once, to nearest. A group of the sums over rows of
	// LinearBackwardWeight (see kernel.Gemm16) does not span two of the outermost dimension of dy, if that has more
	// than two dimensions: samples may then be split as always.

	// Linear writes y = x Wᵀ + b. x (N,in), w (out,in), b (out) or none, y (N,out).
	Linear(y, x, w, b tensor.Tensor)
	// LinearAdd adds y += x Wᵀ.
	LinearAdd(y, x, w tensor.Tensor)
	// LinearBackwardInput writes dx = dy W.
	LinearBackwardInput(dx, dy, w tensor.Tensor)
	// LinearBackwardWeight adds dw += dyᵀ x and, unless db is none, the column
	// sums of dy to db.
	LinearBackwardWeight(dw, db, dy, x tensor.Tensor)

	// LayerNorm normalises each row of x: y = (x-mean)*rstd*w + b, b may be
	// none. stats (2,rows) keeps the means of all rows, then their rstd.
	LayerNorm(y, stats, x, w, b tensor.Tensor, eps float32)
	// LayerNormBackward writes dx (which may be dy) and adds to dw and db, unless
	// they are none.
	LayerNormBackward(dx, dw, db, dy, x, w, stats tensor.Tensor)

	// RMSNorm normalises heads of each row of x, of as many columns as w: y = x/sqrt(mean(x^2)+eps)*w.
	// stats (rows,h.Count) keeps 1/sqrt(...). y, of the shape of x, may be x; its other columns stay.
	RMSNorm(y, stats, x, w tensor.Tensor, h Heads, eps float32)
	// RMSNormBackward writes dx (which may be dy) in the heads' columns and adds to dw, unless it is
	// none: rows in ascending order, and in a row heads.
	RMSNormBackward(dx, dw, dy, x, w, stats tensor.Tensor, h Heads)

	// Rotate turns heads of x (B,T,W) in place by the angles of their positions, or back: channels i
	// and i+D/2 of a head are a pair. table (>=T,D) holds the D/2 cosines of a position, then the sines.
	// The row at [b,t] stands at position t, or with counts (B*T), int32, at counts[b*T+t]-1.
	Rotate(x, table, counts tensor.Tensor, h Heads, back bool)

	// GatedSiLU writes y = silu(g)*u. x (N,2M) holds g|u in each row, and y is (N,M).
	GatedSiLU(y, x tensor.Tensor)
	// GatedSiLUBackward writes dx from dy; dx may be x.
	GatedSiLUBackward(dx, dy, x tensor.Tensor)

	// GELU writes y = gelu(x); y may be x.
	GELU(y, x tensor.Tensor, form GELUForm)
	// GELUBackward writes dx = dy * gelu'(x); dx may be dy.
	GELUBackward(dx, dy, x tensor.Tensor, form GELUForm)

	// Attention writes softmax(q kᵀ*scale + mask) v for every head, with spec's scale. qkv
	// (B,T,C+2G*D) holds q|k|v, head h in columns h*D..h*D+D-1 of each; out (B,T,C);
	// lse (B,H,T) keeps the log of each softmax's denominator. Of H heads of queries,
	// H/G neighbours share one of the G heads of keys and values. C is H*D here.
	Attention(out, lse, qkv tensor.Tensor, spec AttentionSpec)
	// AttentionBackward writes dqkv from dout. The gradients of a head of keys and values are sums
	// over its heads of queries in ascending order.
	AttentionBackward(dqkv, dout, out, lse, qkv tensor.Tensor, spec AttentionSpec)
	// CrossAttention is Attention to another sequence: q (B,T,C), and kv (B,S,2G*D),
	// which holds k|v. Causal, the queries are the last T of S positions: query t sees keys 0..S-T+t.
	CrossAttention(out, lse, q, kv tensor.Tensor, spec AttentionSpec)
	// CrossAttentionBackward writes dq and dkv from dout. Causal, it needs S = T.
	CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv tensor.Tensor, spec AttentionSpec)

	// Dropout writes y = x*mask/keep for samples of x's outermost dimension;
	// the same Draw gives the same mask. y may be x.
	Dropout(y, x tensor.Tensor, p float32, draw Draw)
	// DropSamples is Dropout of samples as a whole: y = x/(1-p) or y = 0 for each
	// of x's outermost dimension.
	DropSamples(y, x tensor.Tensor, p float32, draw Draw)

	// PoolRows writes the mean of the first rows rows of each sample. x (B,T,C),
	// y (B,C).
	PoolRows(y, x tensor.Tensor, rows int)
	// PoolRowsBackward writes dx, zero for the rows that were left out.
	PoolRowsBackward(dx, dy tensor.Tensor, rows int)

	// CrossEntropy turns each row of logits into the gradient of its loss times
	// scale, and writes losses[row] (nats). targets holds a class for each row
	// (int32), Ignore for one that has no loss; or a probability for each class of
	// each row (float32). Of the probability of a class, smoothing is spread evenly
	// over all classes (label smoothing); probabilities have none.
	CrossEntropy(losses, logits, targets tensor.Tensor, smoothing, scale float32)

	Reversible
	Optimisers
}

// Reversible holds the operations of the BDIA update (paper, section 4). x, h
// and g are (B,T,C); gamma (B) holds one value per sample; peak (B, int32) keeps
// the largest magnitude seen in each sample, as IEEE bits with the sign cleared.
//
// A state on the grid is a whole number n of units of 2^-bits: x holds float32(n)*2^-bits, which
// a block reads, and rest (B,T,C), bytes, what that leaves: n - x*2^bits, signed, 0 up to 2^24
// units. For example n = 2^24+1 is x = 2^24*2^-bits and a rest of 1. Updates are exact while the
// peaks stay below 2^30 units.
type Reversible interface {
	// Quantise rounds x to the grid in place.
	Quantise(x, peak tensor.Tensor, bits int)
	// AddQuantised writes y and rest = x + Q[h], of x without a rest; QuantisedAdd writes y = Q[x+h].
	// y may be x.
	AddQuantised(y, rest, x, h, peak tensor.Tensor, bits int)
	QuantisedAdd(y, x, h, peak tensor.Tensor, bits int)
	// Advance turns x_{k-1}, in xPrev and rest, into x_{k+1} in place and stores the side
	// information, unless side is none. side is (planes, B, bytes per sample). A law without a
	// grid needs no rest.
	Advance(xPrev, rest, x, h, side, gamma, peak tensor.Tensor, law Law)
	// Retreat is the inverse of Advance: it turns x_{k+1}, in xNext and rest, back into x_{k-1}.
	Retreat(xNext, rest, x, h, side, gamma, peak tensor.Tensor, law Law)
	// ScaleGrad writes dh = (1+gamma)*g.
	ScaleGrad(dh, g, gamma tensor.Tensor)
	// CompleteGrad completes dloss/dx_k: dx, holding Jᵀdh, becomes
	// ((1-gamma)*g + dx) + pending; then pending becomes gamma*g.
	CompleteGrad(dx, pending, g, gamma tensor.Tensor)
}

// Optimisers holds the optimisers' inner loops. p (parameter), g (gradient), m and v
// (moments) have one shape. Only a p of BF16 is rounded.
type Optimisers interface {
	AdamW(p, g, m, v tensor.Tensor, s AdamScalars, r Rounding)
	// AdamW8 is AdamW with moments of 8 bits (arXiv 2110.02861): m and v (U8) are
	// codes, mMax and vMax hold the largest magnitude of each group of CodeGroup
	// elements. Zeros are the moments of a fresh start.
	AdamW8(p, g, m, v, mMax, vMax tensor.Tensor, s AdamScalars, r Rounding)
	// SETAdam is Adam with suppressed range of step sizes (arXiv 2302.01029).
	SETAdam(p, g, m, v tensor.Tensor, s AdamScalars, tau float32, r Rounding)
	SGD(p, g, momentum tensor.Tensor, lr, beta, decay float32, r Rounding)
}

// Ignore is the target of a row without loss, such as padding: its loss and its
// gradient are 0.
const Ignore = -1

// CodeGroup is the number of elements that share one scale in AdamW8: the largest
// magnitude among them.
const CodeGroup = 2048

// CodeGroups returns the number of groups of n elements; the last may be short.
func CodeGroups(n int) int { return (n + CodeGroup - 1) / CodeGroup }

// DigestOf is the digest that Digest has written as the two halves that words begins with.
func DigestOf(words []int32) uint64 { return uint64(uint32(words[0])) | uint64(uint32(words[1]))<<32 }

// Law is the rule by which Advance and Retreat move a state: |gamma| = 2^-Planes on a
// grid of 2^-Bits, or no grid when Bits is NoGrid. For example, {Planes: 1, Bits: 9} is
// the paper's gamma of ±0.5 on a grid of 2^-9.
type Law struct{ Planes, Bits int }

// NoGrid stands for a residual stream in plain float32.
const NoGrid = -1

// AdamScalars are the numbers of one Adam step. Bias1 and Bias2 are 1-beta^t.
type AdamScalars struct{ LR, Beta1, Beta2, Eps, Decay, Bias1, Bias2 float32 }

// Rounding names the random numbers by which an update of a BF16 parameter is rounded. A value between two neighbours
// becomes the larger one in magnitude with the probability that says how near it is, so that the mean of many steps is
// right. Element e of parameter number Param takes half-word e mod 8 of draw e/8: the result is the upper half of the
// sum of the value's bits, as an unsigned number, and the half-word.
type Rounding struct {
	Seed        uint64 // of the run
	Step, Param int
}

// GELUForm chooses the exact function or GPT-2's approximation.
type GELUForm uint8

const (
	GELUTanh GELUForm = iota // GPT-2
	GELUErf                  // x * Phi(x)
)

// String returns the name that UnmarshalText reads.
func (f GELUForm) String() string { return [...]string{GELUTanh: "tanh", GELUErf: "erf"}[f] }

// MarshalText and UnmarshalText let a GELUForm stand in flags and files.
func (f GELUForm) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

func (f *GELUForm) UnmarshalText(text []byte) error {
	for _, form := range []GELUForm{GELUTanh, GELUErf} {
		if form.String() == string(text) {
			*f = form
			return nil
		}
	}
	return fmt.Errorf("backend: unknown GELU %q; use tanh or erf", text)
}

// AttentionSpec describes one attention call.
type AttentionSpec struct {
	Heads   int // H, of queries
	KVHeads int // G, of keys and values; 0: as many
	Causal  bool
	Scale   float32       // of the scores; 0: 1/sqrt(D)
	Window  int           // a query sees the last Window of the keys that it would see; 0: all
	Lengths tensor.Tensor // (B), int32: how many keys of each sample are seen, at least one; none: all. Not with Causal
	Dropout float32       // of the attention weights
	Draw    Draw          // keys the dropout
}

// ScaleOf returns the scale of the scores of heads of width D.
func (s AttentionSpec) ScaleOf(D int) float32 {
	if s.Scale != 0 {
		return s.Scale
	}
	return float32(1 / math.Sqrt(float64(D)))
}

// KeyHeads returns the number of heads of keys and values.
func (s AttentionSpec) KeyHeads() int { return cmp.Or(s.KVHeads, s.Heads) }

// Heads are Count neighbouring heads of a row, the first of which begins in column At. An operation on heads takes
// their width from its other operands. For example, {0, 1} beside a weight as wide as the row is the row itself.
type Heads struct{ At, Count int }

// Pass identifies one forward pass: what its random numbers are keyed by.
type Pass struct {
	Train  bool   // dropout and gamma are active
	Seed   uint64 // of the run
	Step   int    // optimiser step
	Sample int    // index of the pass's first sample within the step's global batch
}

// Draw is a Pass narrowed to one use of randomness in one block.
type Draw struct {
	Pass
	Block int
	Site  Site
}
