package backendtest

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// mask returns the factor of dropout on attention weight (t,u), of T queries and S
// keys, of head h, from the generator itself.
func mask(p float32, draw backend.Draw, sample, h, T, S int) func(t, u int) float64 {
	keep := keepOf(p)
	return func(t, u int) float64 {
		element := uint32((h*T+t)*((S+63)&^63) + u)
		word := key(draw, sample).At(element / 8)[element%8/2]
		if word>>(16*(element%2))&0xffff < keep {
			return 65536 / float64(keep)
		}
		return 0
	}
}

func attentionTest(e *env) {
	for _, s := range []struct {
		B, T, H, D int
		p          float32
	}{{1, 1, 1, 1, 0}, {2, 7, 3, 12, 0}, {1, 63, 1, 3, 0}, {1, 64, 2, 4, 0.2}, {1, 65, 1, 5, 0}, {1, 9, 1, 100, 0.5},
		{1, 255, 1, 2, 0}, {1, 256, 1, 1, 0}, {1, 257, 1, 3, 0.1}, {1, 300, 1, 2, 0}} {
		for _, causal := range []bool{true, false} {
			mark := e.Mark()
			C := s.H * s.D
			spec := backend.AttentionSpec{Heads: s.H, Causal: causal, Dropout: s.p, Draw: backend.Draw{
				Pass: backend.Pass{Train: true, Seed: 5, Step: 3, Sample: 1}, Block: 2, Site: backend.SiteAttention}}
			qkv, dout := e.normal(1, s.B, s.T, 3*C), e.normal(1, s.B, s.T, C)
			out, lse, dqkv := e.empty(s.B, s.T, C), e.empty(s.B, s.H, s.T), e.empty(s.B, s.T, 3*C)
			e.Attention(out, lse, qkv, spec)
			e.AttentionBackward(dqkv, dout, out, lse, qkv, spec)

			X, DO := e.wide(qkv), e.wide(dout)
			wantOut, wantLSE, wantD := make([]float64, len(DO)), []float64{}, make([]float64, len(X))
			for b := range s.B {
				for h := range s.H {
					a := attention{T: s.T, seen: s.T, D: s.D, causal: causal, mask: mask(s.p, spec.Draw, b, h, s.T, s.T)}
					for t := range s.T {
						row, col := X[(b*s.T+t)*3*C:], h*s.D
						a.q = append(a.q, row[col:col+s.D]...)
						a.k = append(a.k, row[C+col:C+col+s.D]...)
						a.v = append(a.v, row[2*C+col:2*C+col+s.D]...)
						a.dout = append(a.dout, DO[(b*s.T+t)*C+col:][:s.D]...)
					}
					a.run()
					wantLSE = append(wantLSE, a.lse...)
					for t := range s.T {
						at, col := b*s.T+t, h*s.D
						copy(wantOut[at*C+col:], a.out[t*s.D:(t+1)*s.D])
						copy(wantD[at*3*C+col:], a.dq[t*s.D:(t+1)*s.D])
						copy(wantD[at*3*C+C+col:], a.dk[t*s.D:(t+1)*s.D])
						copy(wantD[at*3*C+2*C+col:], a.dv[t*s.D:(t+1)*s.D])
					}
				}
			}
			name := fmt.Sprintf("%+v causal %v: ", s, causal)
			e.near(name+"out", out, wantOut, 5e-6)
			e.near(name+"lse", lse, wantLSE, 5e-6)
			e.near(name+"dqkv", dqkv, wantD, 1e-5)
			e.Release(mark)
		}
	}
}

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

// selfIsCrossTest: self-attention is attention to keys and values of
// one's own, with lengths too, and causal where the sequences are of one length.
func selfIsCrossTest(e *env) {
	const B, T, H, C = 3, 37, 2, 24
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
}

// unseenKeysTest: what lies past a sample's length changes no bit, NaN included,
// and its gradient is 0.
func unseenKeysTest(e *env) {
	const T, S, seen, C = 14, 300, 258, 16
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
}
