package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// lengths returns a tensor of the given lengths.
func (e *env) lengths(values ...int32) tensor.Tensor {
	t := e.Alloc(backend.Data, tensor.I32, tensor.Shape{len(values)})
	e.UploadInts(t, values)
	return t
}

// crossAttentionTest holds attention to other keys, of which not all are seen,
// against its reference.
func crossAttentionTest(e *env) {
	for _, s := range []struct {
		T, S, H, D int
		seen       []int32 // of each sample; nil: all of two samples
		p          float32
	}{{1, 1, 1, 1, nil, 0}, {7, 5, 3, 12, nil, 0}, {7, 5, 3, 12, []int32{5, 1, 3}, 0}, {3, 70, 2, 4, []int32{65, 70}, 0.2},
		{13, 300, 1, 8, []int32{257, 12}, 0}, {270, 9, 1, 3, []int32{8}, 0.1}, {2, 3, 1, 256, []int32{2}, 0}} {
		mark := e.Mark()
		B, C := len(s.seen), s.H*s.D
		spec := backend.AttentionSpec{Heads: s.H, Dropout: s.p, Draw: backend.Draw{
			Pass: backend.Pass{Train: true, Seed: 5, Step: 3, Sample: 1}, Block: 2, Site: backend.SiteCross}}
		if B > 0 {
			spec.Lengths = e.lengths(s.seen...)
		} else {
			B, s.seen = 2, []int32{int32(s.S), int32(s.S)}
		}
		q, kv, dout := e.normal(1, B, s.T, C), e.normal(1, B, s.S, 2*C), e.normal(1, B, s.T, C)
		out, lse, dq, dkv := e.empty(B, s.T, C), e.empty(B, s.H, s.T), e.empty(B, s.T, C), e.empty(B, s.S, 2*C)
		e.CrossAttention(out, lse, q, kv, spec)
		e.CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv, spec)

		Q, KV, DO := e.wide(q), e.wide(kv), e.wide(dout)
		wantOut, wantLSE, wantQ, wantKV := make([]float64, len(Q)), []float64{}, make([]float64, len(Q)), make([]float64, len(KV))
		for b := range B {
			for h := range s.H {
				a, col := attention{T: s.T, seen: int(s.seen[b]), D: s.D, mask: mask(s.p, spec.Draw, b, h, s.T, s.S)}, h*s.D
				for t := range s.T {
					a.q = append(a.q, Q[(b*s.T+t)*C+col:][:s.D]...)
					a.dout = append(a.dout, DO[(b*s.T+t)*C+col:][:s.D]...)
				}
				for u := range s.S {
					row := KV[(b*s.S+u)*2*C+col:]
					a.k, a.v = append(a.k, row[:s.D]...), append(a.v, row[C:C+s.D]...)
				}
				a.run()
				wantLSE = append(wantLSE, a.lse...)
				for t := range s.T {
					at := (b*s.T+t)*C + col
					copy(wantOut[at:], a.out[t*s.D:(t+1)*s.D])
					copy(wantQ[at:], a.dq[t*s.D:(t+1)*s.D])
				}
				for u := range s.S {
					at := (b*s.S+u)*2*C + col
					copy(wantKV[at:], a.dk[u*s.D:(u+1)*s.D])
					copy(wantKV[at+C:], a.dv[u*s.D:(u+1)*s.D])
				}
			}
		}
		name := fmt.Sprintf("%+v: ", s)
		e.near(name+"out", out, wantOut, 5e-6)
		e.near(name+"lse", lse, wantLSE, 5e-6)
		e.near(name+"dq", dq, wantQ, 1e-5)
		e.near(name+"dkv", dkv, wantKV, 1e-5)
		e.Release(mark)
	}
}

// TestSelfAttentionIsCross: self-attention is attention to keys and values of
// one's own, with lengths too, and causal where the sequences are of one length.
func TestSelfAttentionIsCross(t *testing.T) {
	t.Parallel()
	const B, T, H, C = 3, 37, 2, 24
	eachPath(t, func(e *env) {
		for _, spec := range []backend.AttentionSpec{{Heads: H}, {Heads: H, Causal: true}, {Heads: H, Lengths: e.lengths(37, 1, 20)}} {
			qkv, q, kv := e.normal(1, B, T, 3*C), e.empty(B, T, C), e.empty(B, T, 2*C)
			for i := range B * T {
				row := qkv.RowRange(i, i+1)
				e.Copy(q.RowRange(i, i+1), row.Slice(0, C))
				e.Copy(kv.RowRange(i, i+1), row.Slice(C, 3*C))
			}
			out, lse, dout, dqkv := e.empty(B, T, C), e.empty(B, H, T), e.normal(1, B, T, C), e.empty(B, T, 3*C)
			e.Attention(out, lse, qkv, spec)
			e.AttentionBackward(dqkv, dout, out, lse, qkv, spec)
			out2, lse2, dq, dkv := e.empty(B, T, C), e.empty(B, H, T), e.empty(B, T, C), e.empty(B, T, 2*C)
			e.CrossAttention(out2, lse2, q, kv, spec)
			e.CrossAttentionBackward(dq, dkv, dout, out2, lse2, q, kv, spec)
			testkit.EqualBits(e.t, "out", e.host(out2), e.host(out))
			testkit.EqualBits(e.t, "lse", e.host(lse2), e.host(lse))
			for i := range B * T {
				row := e.host(dqkv.RowRange(i, i+1))
				testkit.EqualBits(e.t, "dq", e.host(dq.RowRange(i, i+1)), row[:C])
				testkit.EqualBits(e.t, "dkv", e.host(dkv.RowRange(i, i+1)), row[C:])
			}
		}
	})
}

// TestUnseenKeys: what lies past a sample's length changes no bit, NaN included,
// and its gradient is 0.
func TestUnseenKeys(t *testing.T) {
	t.Parallel()
	const T, S, seen, C = 14, 300, 258, 16
	eachPath(t, func(e *env) {
		spec := backend.AttentionSpec{Heads: 2, Lengths: e.lengths(seen)}
		q, kv, dout := e.normal(1, 1, T, C), e.normal(1, 1, S, 2*C), e.normal(1, 1, T, C)
		run := func() (all [][]float32, dkv tensor.Tensor) {
			out, lse, dq := e.empty(1, T, C), e.empty(1, 2, T), e.empty(1, T, C)
			dkv = e.empty(1, S, 2*C)
			e.CrossAttention(out, lse, q, kv, spec)
			e.CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv, spec)
			return [][]float32{e.host(out), e.host(lse), e.host(dq), e.host(dkv)}, dkv
		}
		want, dkv := run()
		for _, v := range e.host(dkv.RowRange(seen, S)) {
			if v != 0 {
				e.t.Fatalf("a key that is not seen has gradient %v", v)
			}
		}
		e.Upload(kv.RowRange(seen, S), e.host(e.empty(S-seen, 2*C)))
		got, _ := run()
		for i, name := range []string{"out", "lse", "dq", "dkv"} {
			testkit.EqualBits(e.t, name, got[i], want[i])
		}
	})
}

// smoothingTest holds label smoothing, and rows without loss, against the
// reference.
func smoothingTest(e *env) {
	const scale = 0.25
	for _, s := range []struct{ rows, V int }{{1, 1}, {5, 2}, {37, 65}, {3, 1001}} {
		for _, smoothing := range []float32{0, 0.1, 0.75} {
			logits, targets := e.normal(4, s.rows, s.V), e.below(s.V, s.rows)
			ids := e.ints(targets)
			for r := 1; r < s.rows; r += 3 {
				ids[r] = backend.Ignore
			}
			e.UploadInts(targets, ids)
			L, losses := e.wide(logits), e.empty(s.rows)
			wantLoss, wantGrad := make([]float64, s.rows), make([]float64, len(L))
			for r, target := range ids {
				if target == backend.Ignore {
					continue
				}
				loss, grad := crossEntropy(L[r*s.V:(r+1)*s.V], int(target), float64(smoothing))
				wantLoss[r] = loss
				for i, g := range grad {
					wantGrad[r*s.V+i] = g * scale
				}
			}
			e.CrossEntropy(losses, logits, targets, smoothing, scale)
			name := fmt.Sprint(s, smoothing)
			if s.V > 1 { // of one class the loss is 0, and so is the scale of the comparison
				e.near(name+" losses", losses, wantLoss, 1e-6)
				e.near(name+" gradient", logits, wantGrad, 2e-6)
			}
			for r := 1; r < s.rows; r += 3 {
				for _, v := range append(e.host(logits.RowRange(r, r+1)), e.host(losses)[r]) {
					if math.Float32bits(v) != 0 {
						e.t.Fatalf("a row without loss has %v", v)
					}
				}
			}
		}
	}
}

// TestBadAttention: shapes that do not fit end the program where they are.
func TestBadAttention(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "", 1)
	q, kv, out, lse := e.normal(1, 2, 3, 8), e.normal(1, 2, 5, 16), e.empty(2, 3, 8), e.empty(2, 2, 3)
	mustPanic(t, "heads", "attention", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 3}) })
	mustPanic(t, "lengths", "lengths", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 2, Lengths: e.lengths(1)}) })
	mustPanic(t, "length 0", "0 of 5 keys", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 2, Lengths: e.lengths(1, 0)}) })
	mustPanic(t, "length 6", "6 of 5 keys", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 2, Lengths: e.lengths(6, 1)}) })
	mustPanic(t, "causal", "causal", func() { e.CrossAttention(out, lse, q, kv, backend.AttentionSpec{Heads: 2, Causal: true}) })
	mustPanic(t, "keys", "CrossAttention", func() {
		e.CrossAttention(out, lse, q, kv.Reshape(tensor.Shape{1, 10, 16}), backend.AttentionSpec{Heads: 2})
	})
}
