package model_test

import (
	"cmp"
	"fmt"
	"math"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// reference computes a model of a family in float64 as transformers' modeling files write it: token by token, head by
// head, out of the parameters alone.
type reference struct {
	c           model.GPTConfig
	params      map[string][]float64
	frequencies []float64 // of the pairs of a head
	factor      float64   // of cosines and sines
}

// newReference returns the reference of m for texts of n tokens.
func newReference(be backend.Backend, m *model.GPT, n int) reference {
	r := reference{c: m.Config, params: map[string][]float64{}}
	for _, p := range m.Params() {
		for _, v := range read(be, p.Value) {
			r.params[p.Name] = append(r.params[p.Name], float64(v))
		}
	}
	r.c.KVHeads, r.c.HeadWidth = cmp.Or(r.c.KVHeads, r.c.Heads), cmp.Or(r.c.HeadWidth, r.c.Width/r.c.Heads)
	r.turn(n)
	return r
}

// turn sets the frequencies for texts of n tokens, as transformers' modeling_rope_utils.py does.
func (r *reference) turn(n int) {
	s, D := r.c.Rope, float64(r.c.HeadWidth)
	theta, O := s.Theta, float64(s.OriginalContext)
	if s.Kind == model.RopeDynamic {
		theta *= math.Pow(s.Factor*max(float64(n), O)/O-(s.Factor-1), D/(D-2))
	}
	pair := func(turns float64) float64 { return D * math.Log(O/(turns*2*math.Pi)) / (2 * math.Log(theta)) }
	low, high := pair(s.BetaFast), pair(s.BetaSlow)
	if !s.NoTruncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	if low, high = max(low, 0), min(high, D-1); low == high {
		high += 0.001
	}
	for i := range r.c.HeadWidth / 2 {
		f := math.Pow(theta, -2*float64(i)/D)
		switch wave := 2 * math.Pi / f; {
		case s.Kind == model.RopeLinear, s.Kind == model.RopeLlama3 && wave > O/s.LowFreq:
			f /= s.Factor
		case s.Kind == model.RopeLlama3 && wave >= O/s.HighFreq:
			smooth := (O/wave - s.LowFreq) / (s.HighFreq - s.LowFreq)
			f = (1-smooth)*f/s.Factor + smooth*f
		case s.Kind == model.RopeYarn:
			ramp := min(max((float64(i)-low)/(high-low), 0), 1)
			f = f/s.Factor*ramp + f*(1-ramp)
		}
		r.frequencies = append(r.frequencies, f)
	}
	scale := func(m float64) float64 { return 0.1*m*math.Log(s.Factor) + 1 }
	switch {
	case s.Kind != model.RopeYarn:
		r.factor = 1
	case s.AttentionFactor > 0:
		r.factor = s.AttentionFactor
	case s.MScale > 0 && s.MScaleAllDim > 0:
		r.factor = scale(s.MScale) / scale(s.MScaleAllDim)
	default:
		r.factor = scale(1)
	}
}

// logits returns the logits (T,V) of a text.
func (r reference) logits(ids []int32) (all []float64) {
	c := r.c
	x := make([][]float64, len(ids))
	for t, id := range ids {
		for _, v := range r.params["wte.weight"][int(id)*c.Width:][:c.Width] {
			if c.Family == model.Granite {
				v *= c.EmbeddingScale // embedding_multiplier
			}
			x[t] = append(x[t], v)
		}
	}
	for k := range c.Layers {
		window := len(x)
		if c.Window > 0 && k >= c.FullLayers {
			window = c.Window
		}
		r.block(x, fmt.Sprintf("blocks.%d.", k), window)
	}
	head := r.params["wte.weight"]
	if c.Untied {
		head = r.params["head.weight"]
	}
	for _, row := range x {
		for _, v := range product(head, r.rms(row, "lnf.weight"), nil) {
			if c.Family == model.Granite {
				v /= c.LogitsDivisor // logits_scaling
			}
			all = append(all, v)
		}
	}
	return all
}

// block turns the rows x into those after a block, in which a position sees so many.
func (r reference) block(x [][]float64, name string, window int) {
	after, scale := r.c.Family == model.OLMo2, 1.0
	if r.c.Family == model.Granite {
		scale = r.c.BranchScale // residual_multiplier
	}
	in := make([][]float64, len(x))
	for t, row := range x {
		in[t] = row
		if !after {
			in[t] = r.rms(row, name+"ln1.weight")
		}
	}
	for t, a := range r.attention(in, name+"attn.", window) {
		if after {
			a = r.rms(a, name+"ln1.weight")
		}
		add(x[t], a, scale)
	}
	for _, row := range x {
		n := row
		if !after {
			n = r.rms(row, name+"ln2.weight")
		}
		gateUp := product(r.params[name+"mlp.fc1.weight"], n, r.params[name+"mlp.fc1.bias"])
		M := len(gateUp) / 2
		for i, g := range gateUp[:M] {
			gateUp[i] = g / (1 + math.Exp(-g)) * gateUp[M+i]
		}
		m := product(r.params[name+"mlp.fc2.weight"], gateUp[:M], r.params[name+"mlp.fc2.bias"])
		if after {
			m = r.rms(m, name+"ln2.weight")
		}
		add(row, m, scale)
	}
}

// attention returns o_proj of causal attention over the rows x, of which each sees the window that it ends.
func (r reference) attention(x [][]float64, name string, window int) (out [][]float64) {
	c := r.c
	D, G := c.HeadWidth, c.KVHeads
	A := c.Heads * D
	var qs, ks, vs [][]float64
	for t, row := range x {
		qkv := product(r.params[name+"qkv.weight"], row, r.params[name+"qkv.bias"])
		q, k, v := qkv[:A], qkv[A:A+G*D], qkv[A+G*D:]
		if c.Family == model.OLMo2 { // before the heads are cut
			q, k = r.rms(q, name+"qnorm.weight"), r.rms(k, name+"knorm.weight")
		}
		if c.Family == model.Qwen3 { // of each head
			for h := 0; h < A; h += D {
				copy(q[h:], r.rms(q[h:h+D], name+"qnorm.weight"))
			}
			for h := 0; h < G*D; h += D {
				copy(k[h:], r.rms(k[h:h+D], name+"knorm.weight"))
			}
		}
		turned := func(rows []float64) []float64 {
			y := make([]float64, len(rows))
			for h := 0; h < len(rows); h += D {
				for i, f := range r.frequencies {
					sin, cos := math.Sincos(float64(t) * f)
					sin, cos = sin*r.factor, cos*r.factor
					a, b := rows[h+i], rows[h+D/2+i]
					y[h+i], y[h+D/2+i] = a*cos-b*sin, b*cos+a*sin
				}
			}
			return y
		}
		qs, ks, vs = append(qs, turned(q)), append(ks, turned(k)), append(vs, v)
		att := make([]float64, A)
		for h := range c.Heads {
			of, scale := h/(c.Heads/G)*D, 1/math.Sqrt(float64(D))
			if c.Family == model.Granite {
				scale = c.AttentionScale // attention_multiplier, in place of it
			}
			weights, sum := make([]float64, t+1), 0.0
			for u := max(0, t-window+1); u <= t; u++ {
				dot := 0.0
				for i := range D {
					dot += qs[t][h*D+i] * ks[u][of+i]
				}
				weights[u] = math.Exp(dot * scale)
				sum += weights[u]
			}
			for u, w := range weights {
				for i := range D {
					att[h*D+i] += w / sum * vs[u][of+i]
				}
			}
		}
		out = append(out, product(r.params[name+"proj.weight"], att, r.params[name+"proj.bias"]))
	}
	return out
}

// rms is x/sqrt(mean(x^2)+eps)*weight.
func (r reference) rms(x []float64, weight string) []float64 {
	squares, y := 0.0, make([]float64, len(x))
	for _, v := range x {
		squares += v * v
	}
	for i, v := range x {
		y[i] = v / math.Sqrt(squares/float64(len(x))+r.c.Eps) * r.params[weight][i]
	}
	return y
}

// product is W x + b, of W (out,in).
func product(w, x, b []float64) []float64 {
	y := make([]float64, len(w)/len(x))
	copy(y, b)
	for i := range y {
		for j, v := range x {
			y[i] += w[i*len(x)+j] * v
		}
	}
	return y
}

// add adds a*y to x.
func add(x, y []float64, a float64) {
	for i, v := range y {
		x[i] += a * v
	}
}

// randomFamily is a small model of Granite or OLMo2 of random odd sizes: heads that share keys and values, of a width
// that has nothing to do with the model's.
func randomFamily(f model.Family, number uint32) model.GPTConfig {
	draws := rng.Key{Seed: 77, Block: number}
	draw := func(i, from, to int) int {
		return from + int(draws.At(uint32(i))[0]%uint32(to-from+1))
	}
	keys := draw(0, 1, 3)
	c := model.GPTConfig{Family: f, Vocab: draw(1, 5, 40), Context: draw(2, 3, 19), Layers: draw(3, 1, 4), KVHeads: keys, Heads: keys * draw(4, 2, 3),
		HeadWidth: 2 * draw(5, 1, 7), Width: draw(6, 5, 33), MLP: draw(7, 3, 41), Untied: draw(8, 0, 1) == 1, Eps: 1e-5,
		AttentionBias: draw(9, 0, 1) == 1, Rope: model.Rope{Theta: 1e4}}
	if f == model.Granite {
		c.MLPBias = draw(10, 0, 1) == 1
		c.EmbeddingScale, c.AttentionScale = float64(draw(11, 3, 60))/5, float64(draw(12, 1, 60))/100
		c.BranchScale, c.LogitsDivisor = float64(draw(13, 10, 40))/100, float64(draw(14, 2, 80))/5
	}
	return c
}

// TestGraniteAndOLMo2 holds the logits of both families, of random odd sizes, against a reference in float64 that shares
// no code with the layers.
func TestGraniteAndOLMo2(t *testing.T) {
	t.Parallel()
	for _, f := range []model.Family{model.Granite, model.OLMo2} {
		for number := range uint32(12) {
			t.Run(fmt.Sprint(f, " ", number), func(t *testing.T) {
				t.Parallel()
				c := randomFamily(f, number)
				be := newCPU(t, 1)
				m := newModel(t, be, c, bdia.DefaultOptions())
				ids := newBatch(c, 1).Inputs
				got := make([]float32, len(ids)*c.Vocab)
				testkit.OK(t, m.Logits(got, model.Batch{Size: 1, Inputs: ids}, bdia.NoGrid))
				var want []float32
				for _, v := range newReference(be, m, len(ids)).logits(ids) {
					want = append(want, float32(v))
				}
				testkit.Near(t, fmt.Sprintf("logits of %+v", c), got, want, 2e-5)
			})
		}
	}
}

// TestFamilyGradients holds the gradient of every parameter of every family against finite differences.
func TestFamilyGradients(t *testing.T) {
	t.Parallel()
	for _, f := range model.Families() {
		for number := range uint32(4) {
			t.Run(fmt.Sprint(f, " ", number), func(t *testing.T) {
				t.Parallel()
				c := randomFamily(f, 100+number)
				c.Context = min(c.Context, 6)
				if number%2 == 1 {
					c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = 0.1, 0.2, 0.2
				}
				checkGradients(t, c, plain(0.5))
			})
		}
	}
}

// oddShapes are shapes of models that published ones do not have, and every way in which a rotation is scaled.
var oddShapes = map[string]model.GPTConfig{
	"linear, every head has keys": {Family: model.Llama, Context: 19, Layers: 5, Heads: 4, Width: 48, MLP: 100, Untied: true, Rope: model.Rope{Theta: 1e4, Kind: model.RopeLinear, Factor: 4}},
	"norms of narrow heads":       {Family: model.Qwen3, Context: 16, Layers: 2, Heads: 6, KVHeads: 3, HeadWidth: 12, Width: 40, MLP: 72, Untied: true, Rope: model.Rope{Theta: 1e6}},
	"yarn": {Family: model.Qwen2, Context: 18, Layers: 2, Heads: 3, KVHeads: 1, Width: 36, MLP: 56,
		Rope: model.Rope{Theta: 1e6, Kind: model.RopeYarn, Factor: 4, OriginalContext: 8, BetaFast: 32, BetaSlow: 1}},
	"yarn of its own, late windows": {Family: model.Qwen2, Context: 16, Layers: 3, Heads: 5, KVHeads: 5, Width: 30, MLP: 44, Untied: true, Window: 3, FullLayers: 2,
		Rope: model.Rope{Theta: 1e6, Kind: model.RopeYarn, Factor: 8, OriginalContext: 16, BetaFast: 16, BetaSlow: 2, NoTruncate: true, AttentionFactor: 1.25}},
	"yarn by mscale, few channels": {Family: model.Qwen3, Context: 15, Layers: 3, Heads: 2, KVHeads: 1, HeadWidth: 128, Width: 13, MLP: 5,
		Rope: model.Rope{Theta: 1e4, Kind: model.RopeYarn, Factor: 4, OriginalContext: 16, BetaFast: 32, BetaSlow: 1, MScale: 0.8, MScaleAllDim: 1.3}},
	"tied, a window of 2":         {Family: model.Mistral, Context: 17, Layers: 3, Heads: 6, KVHeads: 2, HeadWidth: 20, Width: 44, MLP: 50, Window: 2, Rope: model.Rope{Theta: 1e4}},
	"a window of 1, narrow heads": {Family: model.Mistral, Context: 11, Layers: 2, Heads: 3, KVHeads: 1, HeadWidth: 2, Width: 14, MLP: 22, Untied: true, Window: 1, Rope: model.Rope{Theta: 100}},
	"yarn to the last pair":       {Family: model.Llama, Context: 12, Layers: 2, Heads: 3, KVHeads: 1, HeadWidth: 6, Width: 14, MLP: 22, Rope: model.Rope{Theta: 3, Kind: model.RopeYarn, Factor: 2, OriginalContext: 100, BetaFast: 32, BetaSlow: 1}},
	"a window beyond two tiles":   {Family: model.Mistral, Context: 150, Layers: 2, Heads: 4, KVHeads: 4, HeadWidth: 34, Width: 25, MLP: 33, Window: 67, Rope: model.Rope{Theta: 1e4}},
	"llama3, all biases": {Family: model.Llama, Context: 21, Layers: 2, Heads: 2, KVHeads: 1, HeadWidth: 96, Width: 32, MLP: 70, AttentionBias: true, MLPBias: true,
		Rope: model.Rope{Theta: 500, Kind: model.RopeLlama3, Factor: 8, LowFreq: 1.5, HighFreq: 4, OriginalContext: 16}},
	"dynamic, within":     {Family: model.Llama, Context: 60, Layers: 2, Heads: 2, KVHeads: 2, Width: 20, MLP: 34, Rope: model.Rope{Theta: 1e4, Kind: model.RopeDynamic, Factor: 2, OriginalContext: 60}},
	"dynamic, beyond":     {Family: model.Qwen3, Context: 24, Layers: 2, Heads: 4, KVHeads: 2, HeadWidth: 10, Width: 33, MLP: 31, Rope: model.Rope{Theta: 1e6, Kind: model.RopeDynamic, Factor: 4, OriginalContext: 8}},
	"one block, one head": {Family: model.Llama, Context: 9, Layers: 1, Heads: 1, HeadWidth: 160, Width: 16, MLP: 40, Rope: model.Rope{Theta: 1e4, Kind: model.RopeLinear, Factor: 2.5}},
	"texts of one token":  {Family: model.Llama, Context: 1, Layers: 4, Heads: 2, KVHeads: 1, HeadWidth: 6, Width: 20, MLP: 33, Rope: model.Rope{Theta: 1e4}},
}

// TestOddShapes holds the logits of odd shapes, on every instruction set, against the reference, and the gradients of
// their training against finite differences.
func TestOddShapes(t *testing.T) {
	t.Parallel()
	for name, c := range oddShapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.Vocab, c.Eps = 17, 1e-5
			ids := newBatch(c, 1).Inputs
			var want []float32
			for _, level := range cpufeat.Supported() {
				be, err := cpu.New(cpu.Options{Threads: 1, ISA: level.String(), ArenaBytes: cpu.ScratchBytes(1) + 8<<20})
				testkit.OK(t, err)
				defer be.Close()
				m := newModel(t, be, c, bdia.DefaultOptions())
				if want == nil {
					for _, v := range newReference(be, m, len(ids)).logits(ids) {
						want = append(want, float32(v))
					}
				}
				got := make([]float32, len(want))
				testkit.OK(t, m.Logits(got, model.Batch{Size: 1, Inputs: ids}, bdia.NoGrid))
				testkit.Near(t, fmt.Sprintf("logits on %v", level), got, want, 2e-5)
			}
			if c.Context > 1 { // one token sees itself alone, whatever queries and keys are
				checkGradients(t, c, plain(0.5))
			}
		})
	}
}
