package model_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// reference computes a Granite or an OLMo2 in float64 as transformers' modeling files write it: token by token, head by
// head, out of the parameters alone.
type reference struct {
	c      model.GPTConfig
	params map[string][]float64
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
		r.block(x, fmt.Sprintf("blocks.%d.", k))
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

// block turns the rows x into those after a block.
func (r reference) block(x [][]float64, name string) {
	granite := r.c.Family == model.Granite
	in := make([][]float64, len(x))
	for t, row := range x {
		in[t] = row
		if granite {
			in[t] = r.rms(row, name+"ln1.weight")
		}
	}
	for t, a := range r.attention(in, name+"attn.") {
		if granite {
			add(x[t], a, r.c.BranchScale) // residual_multiplier
		} else {
			add(x[t], r.rms(a, name+"ln1.weight"), 1)
		}
	}
	for _, row := range x {
		n := row
		if granite {
			n = r.rms(row, name+"ln2.weight")
		}
		gateUp := product(r.params[name+"mlp.fc1.weight"], n, r.params[name+"mlp.fc1.bias"])
		M := len(gateUp) / 2
		for i, g := range gateUp[:M] {
			gateUp[i] = g / (1 + math.Exp(-g)) * gateUp[M+i]
		}
		m := product(r.params[name+"mlp.fc2.weight"], gateUp[:M], r.params[name+"mlp.fc2.bias"])
		if granite {
			add(row, m, r.c.BranchScale)
		} else {
			add(row, r.rms(m, name+"ln2.weight"), 1)
		}
	}
}

// attention returns o_proj of causal attention over the rows x.
func (r reference) attention(x [][]float64, name string) (out [][]float64) {
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
		turned := func(rows []float64) []float64 {
			y := make([]float64, len(rows))
			for h := 0; h < len(rows); h += D {
				for i := range D / 2 {
					sin, cos := math.Sincos(float64(t) * math.Pow(c.Rope.Theta, -float64(2*i)/float64(D)))
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
			for u := range weights {
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
				r := reference{c, map[string][]float64{}}
				for _, p := range m.Params() {
					for _, v := range read(be, p.Value) {
						r.params[p.Name] = append(r.params[p.Name], float64(v))
					}
				}
				ids := newBatch(c, 1).Inputs
				got := make([]float32, len(ids)*c.Vocab)
				testkit.OK(t, m.Logits(got, model.Batch{Size: 1, Inputs: ids}, bdia.NoGrid))
				var want []float32
				for _, v := range r.logits(ids) {
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
