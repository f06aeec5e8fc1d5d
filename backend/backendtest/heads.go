package backendtest

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// headCases are heads of width D in rows of width cols.
var headCases = []struct {
	rows, cols, D int
	heads         backend.Heads
}{{1, 1, 1, backend.Heads{Count: 1}}, {35, 36, 36, backend.Heads{Count: 1}}, {3, 300, 300, backend.Heads{Count: 1}},
	{18, 70, 12, backend.Heads{At: 5, Count: 4}}, {2, 129, 64, backend.Heads{At: 1, Count: 2}}, {2 * slab / 1024, 1024, 1024, backend.Heads{Count: 1}}}

func rmsNormTest(e *env) {
	for _, s := range headCases {
		m := e.Mark()
		name := fmt.Sprintf("%+v: ", s)
		const eps = 1e-2 // large, so that it counts
		x, w, dy := e.normal(2, s.rows, s.cols), e.normal(1, s.D), e.normal(1, s.rows, s.cols)
		y, dx, dw, stats := e.normal(1, s.rows, s.cols), e.normal(1, s.rows, s.cols), e.normal(1, s.D), e.empty(s.rows, s.heads.Count)
		X, W, DY, Y, DX, DW, R := e.wide(x), e.wide(w), e.wide(dy), e.wide(y), e.wide(dx), e.wide(dw), make([]float64, stats.Len())
		for k := range R {
			at := k/s.heads.Count*s.cols + s.heads.At + k%s.heads.Count*s.D
			x, dy := X[at:][:s.D], DY[at:][:s.D]
			var squares, dot float64
			for _, v := range x {
				squares += v * v
			}
			r := 1 / math.Sqrt(squares/float64(s.D)+eps)
			for i, v := range x {
				Y[at+i] = v * r * W[i]
				dot += dy[i] * W[i] * v * r
				DW[i] += dy[i] * v * r
			}
			for i, v := range x {
				DX[at+i] = r * (dy[i]*W[i] - v*r*dot/float64(s.D))
			}
			R[k] = r
		}
		e.RMSNorm(y, stats, x, w, s.heads, eps)
		e.near(name+"y", y, Y, 3e-6)
		e.near(name+"stats", stats, R, 3e-6)
		e.RMSNormBackward(dx, dw, dy, x, w, stats, s.heads)
		if s.D > 1 {
			e.near(name+"dx", dx, DX, 1e-5)
		}
		e.near(name+"dw", dw, DW, 1e-5)
		e.RMSNormBackward(dy, tensor.Tensor{}, dy, x, w, stats, s.heads) // dx in place of dy
		e.RMSNorm(x, stats, x, w, s.heads, eps)
		for k := range R {
			at := k/s.heads.Count*s.cols + s.heads.At + k%s.heads.Count*s.D
			testkit.EqualBits(e.t, name+"dx in place", e.host(dy.Slice(at, at+s.D)), e.host(dx.Slice(at, at+s.D)))
			testkit.EqualBits(e.t, name+"y in place", e.host(x.Slice(at, at+s.D)), e.host(y.Slice(at, at+s.D)))
		}
		e.Release(m)
	}
}

func rotateTest(e *env) {
	for _, s := range []struct {
		B, T, cols, D int
		heads         backend.Heads
		counts        []int32
	}{{1, 1, 2, 2, backend.Heads{Count: 1}, nil}, {2, 19, 37, 12, backend.Heads{At: 1, Count: 3}, nil}, {3, 1, 24, 8, backend.Heads{At: 8, Count: 2}, []int32{20, 1, 7}}} {
		x, table := e.normal(1, s.B, s.T, s.cols), e.normal(1, 20, s.D)
		var counts tensor.Tensor
		if s.counts != nil {
			counts = e.lengths(s.counts...)
		}
		X, A, B := e.wide(x), e.wide(table), e.wide(x)
		for row := range s.B * s.T {
			position := row % s.T
			if s.counts != nil {
				position = int(s.counts[row]) - 1
			}
			for h := range s.heads.Count {
				at := row*s.cols + s.heads.At + h*s.D
				for i := range s.D / 2 {
					c, sin, j := A[position*s.D+i], A[position*s.D+s.D/2+i], at+i+s.D/2
					u, v := B[at+i], B[j]
					X[at+i], X[j] = u*c-v*sin, v*c+u*sin
					B[at+i], B[j] = u*c+v*sin, v*c-u*sin
				}
			}
		}
		there, back := e.clone(x), e.clone(x)
		e.Rotate(there, table, counts, s.heads, false)
		e.Rotate(back, table, counts, s.heads, true)
		e.near(fmt.Sprintf("%+v", s), there, X, 3e-7)
		e.near(fmt.Sprintf("%+v back", s), back, B, 3e-7)
	}
}

func gatedSiLUTest(e *env) {
	for _, s := range []struct{ rows, M int }{{1, 1}, {19, 33}, {3, 5000}} {
		name := fmt.Sprintf("%+v: ", s)
		x, dy, y, dx := e.normal(4, s.rows, 2*s.M), e.normal(1, s.rows, s.M), e.empty(s.rows, s.M), e.empty(s.rows, 2*s.M)
		if s.rows > 1 {
			e.Upload(x.Slice(0, 1), []float32{-100}) // silu is -0 there
		}
		X, DY, Y, DX := e.wide(x), e.wide(dy), e.wide(y), e.wide(dx)
		for i := range Y {
			g := i/s.M*2*s.M + i%s.M
			u, sigma := g+s.M, 1/(1+math.Exp(-X[g]))
			Y[i] = X[g] * sigma * X[u]
			DX[g], DX[u] = DY[i]*X[u]*sigma*(1+X[g]*(1-sigma)), DY[i]*X[g]*sigma
		}
		e.GatedSiLU(y, x)
		e.near(name+"y", y, Y, 2e-6)
		e.GatedSiLUBackward(dx, dy, x)
		e.near(name+"dx", dx, DX, 2e-6)
		e.GatedSiLUBackward(x, dy, x) // in place
		testkit.EqualBits(e.t, name+"dx in place", e.host(x), e.host(dx))
	}
}

func columnsTest(e *env) {
	x, y := e.normal(1, 19, 7), e.normal(1, 19, 20)
	want, X := e.wide(y), e.wide(x)
	for i, v := range X {
		want[i/7*20+11+i%7] += v
	}
	e.AddColumns(y, x, 11)
	e.near("added", y, want, 1e-7)
	e.TakeColumns(x, y, 11)
	for row := range 19 {
		testkit.EqualBits(e.t, "taken", e.host(x.RowRange(row, row+1)), e.host(y.RowRange(row, row+1))[11:18])
	}
}

// groupedAttentionTest holds heads that share keys and values, and windows, against their reference: over a whole text,
// and for the next position of hypotheses.
func groupedAttentionTest(e *env) {
	for _, s := range []struct {
		B, T, H, G, D, window int
		seen                  []int32 // of each sample, for one query; nil: a causal text
		p, scale              float32
	}{{2, 7, 6, 2, 12, 0, nil, 0, 0}, {4, 300, 4, 2, 4, 0, nil, 0, 0}, {1, 40, 4, 1, 8, 0, nil, 0.2, 0.9}, {2, 30, 2, 1, 6, 5, nil, 0, 1.0 / 64}, {1, 300, 2, 2, 4, 2, nil, 0, 0}, {1, 530, 2, 1, 4, 3, nil, 0.1, 0},
		{1, 600, 1, 1, 2, 270, nil, 0, 0}, {1, 9, 2, 1, 4, 9, nil, 0, 0}, {3, 600, 4, 2, 8, 6, []int32{1, 258, 600}, 0, 0.7}, {2, 40, 4, 2, 8, 300, []int32{40, 9}, 0, 0}} {
		m := e.Mark()
		C, KV := s.H*s.D, s.G*s.D
		spec := backend.AttentionSpec{Heads: s.H, KVHeads: s.G, Causal: s.seen == nil, Scale: s.scale, Window: s.window, Dropout: s.p, Draw: backend.Draw{
			Pass: backend.Pass{Train: true, Seed: 5, Step: 3, Sample: 1}, Block: 2, Site: backend.SiteAttention}}
		T := s.T // of queries
		if s.seen != nil {
			spec.Lengths, T = e.lengths(s.seen...), 1
		}
		q, kv, dout := e.normal(1, s.B, T, C), e.normal(1, s.B, s.T, 2*KV), e.normal(1, s.B, T, C)
		out, lse, dq, dkv := e.empty(s.B, T, C), e.empty(s.B, s.H, T), e.empty(s.B, T, C), e.empty(s.B, s.T, 2*KV)
		e.CrossAttention(out, lse, q, kv, spec)
		e.CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv, spec)

		Q, K, DO := e.wide(q), e.wide(kv), e.wide(dout)
		wantOut, wantLSE, wantQ, wantKV := make([]float64, len(Q)), []float64{}, make([]float64, len(Q)), make([]float64, len(K))
		for b := range s.B {
			for h := range s.H {
				a := attention{T: T, seen: s.T, D: s.D, causal: spec.Causal, window: s.window, scale: float64(s.scale), mask: mask(s.p, spec.Draw, b, h, T, s.T)}
				if s.seen != nil {
					a.seen = int(s.seen[b])
				}
				col, kvCol := h*s.D, h/(s.H/s.G)*s.D
				for t := range T {
					a.q = append(a.q, Q[(b*T+t)*C+col:][:s.D]...)
					a.dout = append(a.dout, DO[(b*T+t)*C+col:][:s.D]...)
				}
				for u := range s.T {
					row := K[(b*s.T+u)*2*KV+kvCol:]
					a.k, a.v = append(a.k, row[:s.D]...), append(a.v, row[KV:KV+s.D]...)
				}
				a.run()
				wantLSE = append(wantLSE, a.lse...)
				for t := range T {
					copy(wantOut[(b*T+t)*C+col:], a.out[t*s.D:(t+1)*s.D])
					copy(wantQ[(b*T+t)*C+col:], a.dq[t*s.D:(t+1)*s.D])
				}
				for i := range s.T * s.D {
					at := (b*s.T+i/s.D)*2*KV + kvCol + i%s.D
					wantKV[at] += a.dk[i]
					wantKV[at+KV] += a.dv[i]
				}
			}
		}
		name := fmt.Sprintf("%+v: ", s)
		e.near(name+"out", out, wantOut, 5e-6)
		e.near(name+"lse", lse, wantLSE, 5e-6)
		e.near(name+"dq", dq, wantQ, 1e-5)
		e.near(name+"dkv", dkv, wantKV, 1e-5)
		if s.seen == nil {
			e.sameAsSelf(name, q, kv, dout, out, dq, dkv, spec)
		}
		e.Release(m)
	}
}

// sameAsSelf holds self-attention against cross-attention to the same queries, keys and values.
func (e *env) sameAsSelf(name string, q, kv, dout, out, dq, dkv tensor.Tensor, spec backend.AttentionSpec) {
	B, T, C, W := q.Shape[0], q.Shape[1], q.Cols(), kv.Cols()
	qkv, dqkv, own, lse := e.zero(B, T, C+W), e.empty(B, T, C+W), e.empty(B, T, C), e.empty(B, spec.Heads, T)
	e.AddColumns(qkv, q, 0)
	e.AddColumns(qkv, kv, C)
	e.Attention(own, lse, qkv, spec)
	e.AttentionBackward(dqkv, dout, own, lse, qkv, spec)
	testkit.EqualBits(e.t, name+"out of self-attention", e.host(own), e.host(out))
	for _, part := range []struct {
		want tensor.Tensor
		at   int
	}{{dq, 0}, {dkv, C}} {
		got := e.empty(B, T, part.want.Cols())
		e.TakeColumns(got, dqkv, part.at)
		testkit.EqualBits(e.t, name+"gradients of self-attention", e.host(got), e.host(part.want))
	}
}

// wideWindowTest: a window that hides nothing, and groups of one head, change no bit. The next position of a text, and
// its last positions together, have the bits of the whole text.
func wideWindowTest(e *env) {
	const T, H, C, window = 530, 2, 16, 260
	q, kv := e.normal(1, 1, T, C), e.normal(1, 1, T, 2*C)
	run := func(spec backend.AttentionSpec) []float32 {
		out, lse := e.empty(1, T, C), e.empty(1, H, T)
		e.CrossAttention(out, lse, q, kv, spec)
		return append(e.host(out), e.host(lse)...)
	}
	testkit.EqualBits(e.t, "wide window", run(backend.AttentionSpec{Heads: H, KVHeads: H, Causal: true, Window: T}), run(backend.AttentionSpec{Heads: H, Causal: true}))
	whole := run(backend.AttentionSpec{Heads: H, Causal: true, Window: window})
	for _, t := range []int{0, 255, 256, window - 1, window, 520, T - 1} {
		out, lse := e.empty(1, 1, C), e.empty(1, H, 1)
		e.CrossAttention(out, lse, q.RowRange(t, t+1).Reshape(tensor.Shape{1, 1, C}), kv, backend.AttentionSpec{Heads: H, Window: window, Lengths: e.lengths(int32(t + 1))})
		testkit.EqualBits(e.t, fmt.Sprint("position ", t), e.host(out), whole[t*C:][:C])
	}
	for _, w := range []int{0, window, 3} {
		spec := backend.AttentionSpec{Heads: H, Causal: true, Window: w}
		whole := run(spec)
		for _, n := range []int{1, 5, 18, 19, 260, 273, 275, T - 1} { // of the last positions
			out, lse := e.empty(1, n, C), e.empty(1, H, n)
			e.CrossAttention(out, lse, q.RowRange(T-n, T).Reshape(tensor.Shape{1, n, C}), kv, spec)
			testkit.EqualBits(e.t, fmt.Sprintf("the last %d positions, window %d", n, w), e.host(out), whole[(T-n)*C:T*C])
		}
		for s := 1; s < T; s += 97 { // before a row that nobody sees
			n := min(s, 120)
			out, lse := e.empty(1, n, C), e.empty(1, H, n)
			e.CrossAttention(out, lse, q.RowRange(s-n, s).Reshape(tensor.Shape{1, n, C}), kv.RowRange(0, s).Reshape(tensor.Shape{1, s, 2 * C}), spec)
			testkit.EqualBits(e.t, fmt.Sprintf("positions %d to %d, window %d", s-n, s, w), e.host(out), whole[(s-n)*C:s*C])
		}
	}
}
