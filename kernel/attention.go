package kernel

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/internal/rng"
)

// Attention of one head, by tiles (Dao et al., FlashAttention, arXiv
// 2205.14135): the T×T matrix of weights exists only as tiles of queryTile rows
// by keyTile columns. The forward pass carries each row's running maximum and
// sum of exponentials; the backward pass recomputes the weights from the
// logarithm of that sum.
//
// The tiles are part of the definition: sums run over the keys of a tile in the
// order of ExpSum and over tiles in ascending order, matrix products as chains
// over ascending keys (or queries, for the gradients of keys and values).
// Rejected: tiles chosen by cache size or thread count, which would make bits
// depend on the machine.

const (
	queryTile = 64
	keyTile   = 256
	// MaxHeadDim is the largest width of a head.
	MaxHeadDim = 256

	tileFloats = queryTile * keyTile
	// ScratchFloats is the scratch that each thread needs for any kernel.
	ScratchFloats = GemmScratch + 3*tileFloats + 2*queryTile
)

// AttentionHead is one head of one sample. Q, K, V, Out and their gradients
// start at the head's first column and share the strides: row t of Q is at
// t*LD, row t of Out at t*LDOut.
type AttentionHead struct {
	T, D      int       // positions, head width
	LD, LDOut int       // row strides of Q/K/V and of Out, in floats
	Scale     float32   // 1/sqrt(D)
	Causal    bool      // position t sees positions 0..t only
	Q, K, V   []float32 // (T,D)
	Out       []float32 // (T,D)
	LSE       []float32 // (T): log of the sum of exp(scale*score)

	// Dropout of the weights: Keep of 65536 survive; element (t,u) of head h is
	// number (h*T+t)*(T rounded up to 64)+u of the sample's stream.
	Keep  uint32
	Key   rng.Key
	Index int // h
}

// span returns how many of the keys from k0 on, at most keyTile, query q sees.
func (a *AttentionHead) span(q, k0 int) int {
	n := a.T - k0
	if a.Causal {
		n = q + 1 - k0
	}
	return max(0, min(n, keyTile))
}

// drop applies dropout to the weights p of query q for keys k0 onward.
func (isa ISA) drop(a *AttentionHead, p []float32, q, k0 int) {
	if a.Keep == 1<<16 {
		return
	}
	padded := (a.T + 63) &^ 63
	isa.Dropout(p, p, a.Key, uint32((a.Index*a.T+q)*padded+k0), a.Keep)
}

// check panics on what no caller may ask for.
func (a *AttentionHead) check() {
	if a.D < 1 || a.D > MaxHeadDim || a.T < 1 || len(a.LSE) != a.T {
		panic(fmt.Sprintf("kernel: attention over %d positions with head width %d (limit %d)", a.T, a.D, MaxHeadDim))
	}
}

// Attention computes rows [q0, q0+queryTile) of Out and LSE.
func (isa ISA) Attention(a *AttentionHead, tile int, scratch []float32) {
	a.check()
	q0 := tile * queryTile
	rows := min(queryTile, a.T-q0)
	gemm, scratch := scratch[:GemmScratch], scratch[GemmScratch:]
	s := scratch[:tileFloats]
	most, sum := scratch[3*tileFloats:][:queryTile], scratch[3*tileFloats+queryTile:][:queryTile]
	out := a.Out[q0*a.LDOut:]
	for r := range rows {
		most[r], sum[r] = float32(math.Inf(-1)), 0
	}
	for k0 := 0; k0 < a.T; k0 += keyTile {
		n := a.span(q0+rows-1, k0)
		if n == 0 {
			break
		}
		isa.Gemm(&Gemm{Layout: NT, M: rows, N: n, K: a.D, A: a.Q[q0*a.LD:], LDA: a.LD, B: a.K[k0*a.LD:], LDB: a.LD, C: s, LDC: keyTile}, gemm)
		for r := range rows {
			row, seen := s[r*keyTile:][:n], a.span(q0+r, k0)
			clear(row[seen:])
			if seen == 0 {
				continue
			}
			top := max(most[r], isa.RowMax(row[:seen])*a.Scale)
			part := isa.ExpSum(row[:seen], row[:seen], a.Scale, top)
			if k0 == 0 {
				sum[r] = part
			} else {
				shrink := expf(most[r] - top)
				sum[r] = float32(sum[r]*shrink) + part
				isa.Scale(out[r*a.LDOut:][:a.D], out[r*a.LDOut:][:a.D], shrink)
			}
			most[r] = top
			isa.drop(a, row[:seen], q0+r, k0)
		}
		isa.Gemm(&Gemm{Layout: NN, M: rows, N: a.D, K: n, A: s, LDA: keyTile, B: a.V[k0*a.LD:], LDB: a.LD, C: out, LDC: a.LDOut, Accumulate: k0 > 0}, gemm)
	}
	for r := range rows {
		isa.Scale(out[r*a.LDOut:][:a.D], out[r*a.LDOut:][:a.D], 1/sum[r])
		a.LSE[q0+r] = most[r] + float32(logOf(sum[r]))
	}
}

// QueryTiles returns the number of tiles that Attention is called for.
func QueryTiles(T int) int { return (T + queryTile - 1) / queryTile }

// AttentionBackward computes dQ, dK and dV (strides as Q) from dOut (stride as
// Out), for a whole head.
func (isa ISA) AttentionBackward(a *AttentionHead, dQ, dK, dV, dOut []float32, scratch []float32) {
	a.check()
	gemm, scratch := scratch[:GemmScratch], scratch[GemmScratch:]
	p, dp, kept := scratch[:tileFloats], scratch[tileFloats:][:tileFloats], scratch[2*tileFloats:][:tileFloats]
	delta := scratch[3*tileFloats:][:queryTile]
	for t := range a.T {
		clear(dQ[t*a.LD:][:a.D])
		clear(dK[t*a.LD:][:a.D])
		clear(dV[t*a.LD:][:a.D])
	}
	for q0 := 0; q0 < a.T; q0 += queryTile {
		rows := min(queryTile, a.T-q0)
		q, do := a.Q[q0*a.LD:], dOut[q0*a.LDOut:]
		for r := range rows {
			delta[r] = isa.Dot(do[r*a.LDOut:][:a.D], a.Out[(q0+r)*a.LDOut:][:a.D])
		}
		for k0 := 0; k0 < a.T; k0 += keyTile {
			n := a.span(q0+rows-1, k0)
			if n == 0 {
				break
			}
			k := k0 * a.LD
			isa.Gemm(&Gemm{Layout: NT, M: rows, N: n, K: a.D, A: q, LDA: a.LD, B: a.K[k:], LDB: a.LD, C: p, LDC: keyTile}, gemm)
			isa.Gemm(&Gemm{Layout: NT, M: rows, N: n, K: a.D, A: do, LDA: a.LDOut, B: a.V[k:], LDB: a.LD, C: dp, LDC: keyTile}, gemm)
			weights := p // what multiplied the values: p, or p after dropout
			if a.Keep < 1<<16 {
				weights = kept
			}
			for r := range rows {
				seen := a.span(q0+r, k0)
				row, drow, wrow := p[r*keyTile:][:n], dp[r*keyTile:][:n], weights[r*keyTile:][:n]
				isa.ExpSum(row[:seen], row[:seen], a.Scale, a.LSE[q0+r])
				clear(row[seen:])
				if a.Keep < 1<<16 {
					copy(wrow, row)
					isa.drop(a, wrow[:seen], q0+r, k0)
					isa.drop(a, drow[:seen], q0+r, k0)
				}
				isa.SoftmaxBackward(drow[:seen], row[:seen], drow[:seen], delta[r], a.Scale)
				clear(drow[seen:])
			}
			isa.Gemm(&Gemm{Layout: TN, M: n, N: a.D, K: rows, A: weights, LDA: keyTile, B: do, LDB: a.LDOut, C: dV[k:], LDC: a.LD, Accumulate: true}, gemm)
			isa.Gemm(&Gemm{Layout: TN, M: n, N: a.D, K: rows, A: dp, LDA: keyTile, B: q, LDB: a.LD, C: dK[k:], LDC: a.LD, Accumulate: true}, gemm)
			isa.Gemm(&Gemm{Layout: NN, M: rows, N: a.D, K: n, A: dp, LDA: keyTile, B: a.K[k:], LDB: a.LD, C: dQ[q0*a.LD:], LDC: a.LD, Accumulate: true}, gemm)
		}
	}
}
