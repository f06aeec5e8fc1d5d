package nn_test

import (
	"math"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// drawn is one use of randomness: where in a block, and how wide the rows are that it falls on.
type drawn struct {
	site  backend.Site
	width int
}

// draws records the uses of randomness of a block with the given number.
type draws struct {
	backend.Backend
	t     *testing.T
	index int
	list  []drawn
}

func (d *draws) add(draw backend.Draw, width int) {
	if draw.Block != d.index || draw.Pass != pass {
		d.t.Errorf("site %d draws for block %d of %+v, want block %d of %+v", draw.Site, draw.Block, draw.Pass, d.index, pass)
	}
	d.list = append(d.list, drawn{draw.Site, width})
}

func (d *draws) Dropout(y, x tensor.Tensor, p float32, draw backend.Draw) {
	d.add(draw, x.Cols())
	d.Backend.Dropout(y, x, p, draw)
}

func (d *draws) DropSamples(y, x tensor.Tensor, p float32, draw backend.Draw) {
	d.add(draw, x.Cols())
	d.Backend.DropSamples(y, x, p, draw)
}

func (d *draws) Attention(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	d.add(spec.Draw, qkv.Cols())
	d.Backend.Attention(out, lse, qkv, spec)
}

func (d *draws) AttentionBackward(dqkv, dout, out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	d.add(spec.Draw, qkv.Cols())
	d.Backend.AttentionBackward(dqkv, dout, out, lse, qkv, spec)
}

func (d *draws) CrossAttention(out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	d.add(spec.Draw, kv.Cols())
	d.Backend.CrossAttention(out, lse, q, kv, spec)
}

func (d *draws) CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	d.add(spec.Draw, kv.Cols())
	d.Backend.CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv, spec)
}

// TestSites: each use of randomness within a block has a site of its own, and the backward pass draws where the forward
// pass did. The width of an adapter's draw is its input's: dropout comes before A, which has 2 rows here.
func TestSites(t *testing.T) {
	t.Parallel()
	const C, M = 12, 30
	attention := []drawn{{backend.SiteAttention, 3 * C}, {backend.SiteAttentionProj, C}, {backend.SiteAttentionPath, C}}
	mlp := []drawn{{backend.SiteMLP, C}, {backend.SiteMLPPath, C}}
	for _, tc := range []struct {
		name string
		make func(backend.Backend, nn.BlockConfig) bdia.Block
		want []drawn // in the order of the forward pass
	}{
		{"block", func(be backend.Backend, c nn.BlockConfig) bdia.Block { return nn.NewBlock(be, "", 4, c) }, slices.Concat(attention, mlp)},
		{"decoder block", func(be backend.Backend, c nn.BlockConfig) bdia.Block {
			b, _ := newDecoderBlock(be, c, 7, 2)
			return b
		}, slices.Concat(attention, []drawn{{backend.SiteCross, 2 * C}, {backend.SiteCrossProj, C}, {backend.SiteCrossPath, C}}, mlp)},
		{"adapters", func(be backend.Backend, c nn.BlockConfig) bdia.Block {
			b := nn.NewBlock(be, "", 4, c)
			b.AddLoRA(nn.LoRAConfig{Rank: 2, Scale: 1, Dropout: 0.2, Targets: c.LoRATargets()})
			return b
		}, []drawn{{backend.SiteAdapterQKV, C}, attention[0], {backend.SiteAdapterProj, C}, attention[1], attention[2],
			{backend.SiteAdapterFC1, C}, {backend.SiteAdapterFC2, M}, mlp[0], mlp[1]}},
		{"adapters of parts", func(be backend.Backend, c nn.BlockConfig) bdia.Block {
			c.Bias, c.RMS, c.Gated, c.Separate = false, true, true, true
			b := nn.NewBlock(be, "", 4, c)
			b.AddLoRA(nn.LoRAConfig{Rank: 2, Scale: 1, Dropout: 0.2, Targets: c.LoRATargets()})
			return b
		}, []drawn{{backend.SiteAdapterQKV, C}, {backend.SiteAdapterKeys, C}, {backend.SiteAdapterValues, C}, attention[0], {backend.SiteAdapterProj, C}, attention[1], attention[2],
			{backend.SiteAdapterFC1, C}, {backend.SiteAdapterUp, C}, {backend.SiteAdapterFC2, M}, mlp[0], mlp[1]}},
	} {
		be := &draws{Backend: newCPU(t, 4), t: t, index: 4}
		cfg := nn.BlockConfig{Width: C, Heads: 3, MLP: M, Bias: true, Eps: 1e-5, AttentionDropout: 0.1, ResidualDropout: 0.2, StochasticDepth: 0.3}
		b := tc.make(be, cfg)
		gradients(be, b.Params())
		x, h := normal(be, 1, 2, 3, C), normal(be, 2, 2, 3, C)
		b.Forward(h, x, pass)
		forward := be.list
		if !slices.Equal(forward, tc.want) {
			t.Errorf("%s: the forward pass draws at %v, want %v", tc.name, forward, tc.want)
		}
		be.list = nil
		b.Backward(h, x)
		sites := map[backend.Site]bool{}
		for _, d := range forward {
			if sites[d.site] {
				t.Errorf("%s: site %d is drawn at twice", tc.name, d.site)
			}
			sites[d.site] = true
			if !slices.Contains(be.list, d) {
				t.Errorf("%s: the forward pass draws at %v, the backward pass does not", tc.name, d)
			}
		}
		for _, d := range be.list {
			if !slices.Contains(forward, d) {
				t.Errorf("%s: the backward pass draws at %v, the forward pass does not", tc.name, d)
			}
		}
	}
}

// TestLayers: of each layer the parameters in order, what the optimiser is told of them, and the mean and standard
// deviation of their initial values.
func TestLayers(t *testing.T) {
	t.Parallel()
	const (
		C, M, N, P = 48, 96, 24, 75 // width, of the MLP, patches, values of a patch
		std        = 0.02
		residual   = 0.25
	)
	type fact struct {
		name             string
		decay, embedding bool
		mean, std        float64
	}
	norm := func(name string) []fact { return []fact{{name: name + ".weight", mean: 1}, {name: name + ".bias"}} }
	linear := func(name string, std float64) []fact {
		return []fact{{name: name + ".weight", decay: true, std: std}, {name: name + ".bias"}}
	}
	adapter := func(name string, in float64) []fact {
		return []fact{{name: name + ".lora_a", decay: true, std: 1 / math.Sqrt(3*in)}, {name: name + ".lora_b", decay: true}}
	}
	attention := slices.Concat(norm("ln1"), linear("attn.qkv", std), linear("attn.proj", std*residual))
	cross := slices.Concat(norm("lnc"), linear("cross.q", std), linear("cross.kv", std), linear("cross.proj", std*residual))
	mlp := slices.Concat(norm("ln2"), linear("mlp.fc1", std), linear("mlp.fc2", std*residual))
	cfg := nn.BlockConfig{Width: C, Heads: 4, MLP: M, Bias: true, Eps: 1e-5}
	be := newCPU(t, 4)
	block, adapted, decoder := nn.NewBlock(be, "", 1, cfg), nn.NewBlock(be, "", 2, cfg), nn.NewDecoderBlock(be, "", 3, cfg, &nn.Encoded{})
	adapted.AddLoRA(nn.LoRAConfig{Rank: 16, Scale: 1, Targets: cfg.LoRATargets()})
	patches, class := nn.NewPatchEmbedding(be, N, P, C, true), nn.NewClassHead(be, C, 64, 1e-5, 1)
	learned, sinusoidal := nn.NewSequence(be, "", nn.NewTable(be, "wte.weight", 64, C), 32, false), nn.NewSequence(be, "", nn.NewTable(be, "wte.weight", 64, C), 32, true)
	block.Init(1, residual)
	adapted.InitLoRA(1)
	decoder.Init(1, residual)
	patches.Init(1, 0)
	class.Init(1, 0)
	for _, s := range []*nn.Sequence{learned, sinusoidal} {
		s.Init(1, 0)
		nn.Normal(be, s.Token, s.Deviation(), 1, 1)
	}
	if sinusoidal.Position != nil {
		t.Error("sinusoids are a parameter")
	}
	for _, layer := range []struct {
		name   string
		params []*tensor.Param
		want   []fact
	}{
		{"block", block.Params(), slices.Concat(attention, mlp)},
		{"decoder block", decoder.Params(), slices.Concat(attention, cross, mlp)},
		{"adapters", adapted.Params(), slices.Concat(adapter("attn.qkv", C), adapter("attn.proj", C), adapter("mlp.fc1", C), adapter("mlp.fc2", M))},
		{"patch embedding", patches.Params(), append(linear("patch", 1/math.Sqrt(3*P)),
			fact{name: "cls", embedding: true, std: 1e-6}, fact{name: "pos", embedding: true, std: std})},
		{"class head", class.Params(), slices.Concat(norm("lnf"), linear("head", std))},
		{"learned positions", []*tensor.Param{learned.Token, learned.Position},
			[]fact{{"wte.weight", true, true, 0, std}, {"wpe.weight", true, true, 0, std}}},
		{"sinusoids", []*tensor.Param{sinusoidal.Token}, []fact{{"wte.weight", true, true, 0, 1 / math.Sqrt(C)}}},
	} {
		if len(layer.params) != len(layer.want) {
			t.Errorf("%s: %d parameters, want %d", layer.name, len(layer.params), len(layer.want))
			continue
		}
		for i, p := range layer.params {
			want := layer.want[i]
			if p.Name != want.name || p.Decay != want.decay || p.Embedding != want.embedding {
				t.Errorf("%s: %s has decay %v, embedding %v; want %+v", layer.name, p.Name, p.Decay, p.Embedding, want)
			}
			values := read(be, p.Value)
			mean, std := moments(values)
			slack := 1e-9 + 4*want.std/math.Sqrt(float64(len(values))) // four times what chance does to the mean
			if math.Abs(mean-want.mean) > slack || math.Abs(std-want.std) > slack {
				t.Errorf("%s: %s begins with mean %.3g and standard deviation %.3g, want %.3g and %.3g", layer.name, p.Name, mean, std, want.mean, want.std)
			}
		}
	}
}

// moments returns the mean and the standard deviation of values.
func moments(values []float32) (mean, std float64) {
	for _, v := range values {
		mean += float64(v) / float64(len(values))
	}
	for _, v := range values {
		std += (float64(v) - mean) * (float64(v) - mean) / float64(len(values))
	}
	return mean, math.Sqrt(std)
}
