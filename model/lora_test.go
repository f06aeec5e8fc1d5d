package model_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// adapted returns a model whose adapters are lively.
func adapted(t *testing.T, be backend.Backend, c model.GPTConfig, lora model.LoRAConfig, opt bdia.Options) *model.GPT {
	t.Helper()
	m := newModel(t, be, c, opt)
	if err := m.AddLoRA(lora); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Adapters() {
		nn.Normal(be, p, 0.3, 41, i)
	}
	return m
}

// TestAdapterGradients holds the gradient of every adapter against finite
// differences of the loss.
func TestAdapterGradients(t *testing.T) {
	t.Parallel()
	for _, lora := range []model.LoRAConfig{
		{Rank: 2, Alpha: 3, Targets: model.Targets{"all"}}, {Rank: 4, Alpha: 4, Dropout: 0.4, Targets: model.Targets{"all"}},
		{Rank: 1, Alpha: 1, Dropout: 0.2, Targets: model.Targets{"qkv"}}, {Rank: 12, Alpha: 6, Targets: model.Targets{"proj", "fc2"}}, {Rank: 3, Alpha: 3, Dropout: 0.5, Targets: model.Targets{"fc1"}},
	} {
		for _, gamma := range []bdia.Gamma{0, 0.5} {
			t.Run(fmt.Sprintf("%+v/gamma %v", lora, gamma), func(t *testing.T) {
				t.Parallel()
				c := tiny()
				c.ResidualDropout = 0.1
				be := newCPU(t, 1)
				m := adapted(t, be, c, lora, plain(gamma))
				b := newBatch(c, 2)
				checkSlopes(t, be, m.Trainable(), func(s bdia.Sink) ([]float32, error) { return m.MicroStep(b, trainPass, 1, s) })
			})
		}
	}
}

// descend is a Sink that takes a step along each gradient at once.
type descend struct{ be backend.Backend }

func (d descend) Open(params []*tensor.Param) { bdia.AllocGrads(d.be, params) }
func (d descend) Close(params []*tensor.Param) {
	for _, p := range params {
		m := d.be.Alloc(backend.Optimiser, tensor.F32, p.Value.Shape)
		d.be.Zero(m)
		d.be.SGD(p.Value, p.Grad, m, 0.05, 0, 0, backend.Rounding{})
	}
}

// TestAdaptersAlone: fresh adapters change no logit; training changes them and
// nothing else; merged into the weights they compute the same, and only the
// weights beside them have changed.
func TestAdaptersAlone(t *testing.T) {
	t.Parallel()
	qwen3 := tiny()
	qwen3.Family, qwen3.HeadWidth, qwen3.KVHeads, qwen3.Rope = model.Qwen3, 6, 1, model.Rope{Theta: 1e4}
	for _, tc := range []struct {
		c       model.GPTConfig
		targets model.Targets
	}{{tiny(), model.Targets{"qkv"}}, {tiny(), model.Targets{"proj", "fc1"}}, {tiny(), model.Targets{"all"}},
		{qwen3, model.Targets{"q_proj", "v_proj"}}, {qwen3, model.Targets{"o_proj", "up_proj"}}, {qwen3, model.Targets{"all"}},
		{oddFamily(model.Granite), model.Targets{"all"}}, {oddFamily(model.OLMo2), model.Targets{"all"}}} {
		t.Run(tc.c.Family.String()+" "+tc.targets.String(), func(t *testing.T) {
			t.Parallel()
			c, targets := tc.c, tc.targets
			c.AttentionDropout = 0.1
			be := newCPU(t, 2)
			m := newModel(t, be, c, bdia.DefaultOptions())
			b := newBatch(c, 3)
			logits := func() []float32 {
				l := make([]float32, len(b.Inputs)*c.Vocab)
				testkit.OK(t, m.Logits(l, b, bdia.NoGrid))
				return l
			}
			values := func(params []*tensor.Param) (all [][]float32) {
				for _, p := range params {
					all = append(all, read(be, p.Value))
				}
				return all
			}
			plain, base := logits(), values(m.Params())
			if err := m.AddLoRA(model.LoRAConfig{Rank: 4, Alpha: 8, Dropout: 0.1, Targets: targets}); err != nil {
				t.Fatal(err)
			}
			m.InitLoRA(7)
			testkit.EqualBits(t, "logits with fresh adapters", logits(), plain)
			fresh := values(m.Adapters())
			var first, last float64
			pass := trainPass
			for range 20 {
				last = 0
				pass.Step++
				if err := testkit.AddTo(&last)(m.MicroStep(b, pass, 1.0/15, descend{be})); err != nil {
					t.Fatal(err)
				}
				if first == 0 {
					first = last
				}
			}
			if !(last < first) {
				t.Errorf("the loss went from %v to %v", first, last)
			}
			for i, p := range m.Params() {
				testkit.EqualBits(t, p.Name, read(be, p.Value), base[i])
			}
			for i, p := range m.Adapters() {
				if same(read(be, p.Value), fresh[i]) {
					t.Errorf("%s has not learned", p.Name)
				}
			}
			want := logits()
			if same(want, plain) {
				t.Error("trained adapters change no logit")
			}
			m.MergeLoRA()
			got := logits()
			for i := range got {
				if d := math.Abs(float64(got[i] - want[i])); d > 1e-5*max(1, math.Abs(float64(want[i]))) {
					t.Fatalf("logit %d is %v merged, %v before", i, got[i], want[i])
				}
			}
			for i, p := range m.Params() {
				merged := false
				for _, target := range targets.Layers(c) {
					if joined := map[string]string{"q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv", "o_proj": "proj", "gate_proj": "fc1", "up_proj": "fc1", "down_proj": "fc2"}[target]; joined != "" {
						target = joined // of which it is a part
					}
					merged = merged || strings.Contains(p.Name, "."+target+".weight")
				}
				if same(read(be, p.Value), base[i]) == merged {
					t.Errorf("%s has changed: %v, want %v", p.Name, !merged, merged)
				}
			}
			if len(m.Adapters())+len(m.Trainable()) > 0 || m.LoRA.Rank != 0 {
				t.Error("adapters are left")
			}
		})
	}
}

func same(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}

// TestInitLoRA: A is uniform within 1/sqrt(in), B zero; names and shapes.
func TestInitLoRA(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 1)
	m := newModel(t, be, tiny(), bdia.DefaultOptions())
	if err := m.Freeze(1); err != nil {
		t.Fatal(err)
	}
	if err := m.AddLoRA(model.LoRAConfig{Rank: 5, Alpha: 1, Targets: model.Targets{"all"}}); err != nil {
		t.Fatal(err)
	}
	m.InitLoRA(3)
	shapes := map[string]tensor.Shape{}
	for _, p := range m.Adapters() {
		shapes[p.Name] = p.Value.Shape
		host, bound, squares := read(be, p.Value), 1/math.Sqrt(float64(p.Value.Cols())), 0.0
		for _, v := range host {
			if math.Abs(float64(v)) > bound {
				t.Errorf("%s: %v is outside %v", p.Name, v, bound)
			}
			squares += float64(v) * float64(v)
		}
		rms, want := math.Sqrt(squares/float64(len(host))), bound/math.Sqrt(3)
		if strings.HasSuffix(p.Name, "lora_b") {
			want = 0
		}
		if math.Abs(rms-want) > 0.2*want {
			t.Errorf("%s: root mean square %v, want %v", p.Name, rms, want)
		}
	}
	if len(shapes) != 16 || shapes["blocks.1.attn.qkv.lora_a"] != (tensor.Shape{5, 12}) || shapes["blocks.1.attn.qkv.lora_b"] != (tensor.Shape{36, 5}) ||
		shapes["blocks.2.mlp.fc2.lora_a"] != (tensor.Shape{5, 48}) || shapes["blocks.2.mlp.fc2.lora_b"] != (tensor.Shape{12, 5}) {
		t.Errorf("adapters %v", shapes)
	}
}

// TestIgnoredTargets: a target of Ignore has no loss and no gradient.
func TestIgnoredTargets(t *testing.T) {
	t.Parallel()
	c := tiny()
	be := newCPU(t, 1)
	m := newModel(t, be, c, bdia.DefaultOptions())
	b := newBatch(c, 2)
	loss := func(b model.Batch) (sum float64) {
		if err := testkit.AddTo(&sum)(m.Loss(b, bdia.DefaultGrid)); err != nil {
			t.Fatal(err)
		}
		return sum
	}
	whole, parts := loss(b), 0.0
	for half := range 2 {
		part := b
		part.Targets = append([]int32(nil), b.Targets...)
		for i := range part.Targets {
			if i%2 == half {
				part.Targets[i] = backend.Ignore
			}
		}
		parts += loss(part)
	}
	if math.Abs(whole-parts) > 1e-9*whole {
		t.Errorf("losses of both halves are %v together, of all %v", parts, whole)
	}
	for i := range b.Targets {
		b.Targets[i] = backend.Ignore
	}
	s := newSink(be, m.Params())
	var sum float64
	if err := testkit.AddTo(&sum)(m.MicroStep(b, trainPass, 1, s)); err != nil || sum != 0 {
		t.Errorf("loss %v, error %v without targets", sum, err)
	}
	for _, p := range m.Params() {
		if !same(read(be, p.Grad), make([]float32, p.Value.Len())) {
			t.Errorf("%s has a gradient", p.Name)
		}
	}
}

func TestBadAdapters(t *testing.T) {
	t.Parallel()
	for part, change := range map[string]func(*model.LoRAConfig){
		"rank of the adapters is 0":    func(c *model.LoRAConfig) { c.Rank = 0 },
		"rank of the adapters is -4":   func(c *model.LoRAConfig) { c.Rank = -4 },
		"alpha of the adapters is 0":   func(c *model.LoRAConfig) { c.Alpha = 0 },
		"alpha of the adapters is NaN": func(c *model.LoRAConfig) { c.Alpha = math.NaN() },
		"alpha/rank at most 3.4e+38":   func(c *model.LoRAConfig) { c.Alpha = 1e300 },
		"dropout of the adapters is 1": func(c *model.LoRAConfig) { c.Dropout = 1 },
		`adapters at ""`:               func(c *model.LoRAConfig) { c.Targets = nil },
		`adapters at "qkv,head"`:       func(c *model.LoRAConfig) { c.Targets = model.Targets{"qkv", "head"} },
		`adapters at "fc1,fc1"`:        func(c *model.LoRAConfig) { c.Targets = model.Targets{"fc1", "fc1"} },
		"rank 13 beside":               func(c *model.LoRAConfig) { c.Rank = 13 },
	} {
		c := model.DefaultLoRA()
		change(&c)
		m := newModel(t, newCPU(t, 1), tiny(), bdia.DefaultOptions())
		if err := m.AddLoRA(c); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%+v: error %v, want %q", c, err, part)
		}
		if len(m.Trainable()) != len(m.Params()) {
			t.Errorf("%+v: a failure froze parameters", c)
		}
	}
	if err := model.DefaultLoRA().Validate(); err != nil {
		t.Error(err)
	}
	m := newModel(t, newCPU(t, 1), tiny(), bdia.DefaultOptions())
	for _, n := range []int{-1, 4} {
		if err := m.Freeze(n); err == nil || !strings.Contains(err.Error(), "the model has 3") {
			t.Errorf("%d frozen blocks: error %v", n, err)
		}
	}
	if err := m.AddLoRA(model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}}); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{m.AddLoRA(model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}}), m.Freeze(1)} {
		if !errors.Is(err, model.ErrAdapters) {
			t.Errorf("error %v, want ErrAdapters", err)
		}
	}
	all := newModel(t, newCPU(t, 1), tiny(), bdia.DefaultOptions())
	if err := all.Freeze(3); err != nil {
		t.Fatal(err)
	}
	if err := all.AddLoRA(model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}}); !errors.Is(err, model.ErrAdapters) {
		t.Errorf("error %v, want ErrAdapters", err)
	}
}

// TestDecodingWithAdapters: cached keys and values come with what the adapters add,
// also after a training step, whose dropout must not last.
func TestDecodingWithAdapters(t *testing.T) {
	t.Parallel()
	c := tiny()
	be := newCPU(t, 2)
	m := adapted(t, be, c, model.LoRAConfig{Rank: 3, Alpha: 3, Dropout: 0.5, Targets: model.Targets{"all"}}, bdia.DefaultOptions())
	ids := []int32{3, 1, 4, 1, 5}
	want := make([]float32, c.Vocab)
	testkit.OK(t, m.NextLogits(want, ids, bdia.DefaultGrid))
	if _, err := m.MicroStep(newBatch(c, 2), trainPass, 1, newSink(be, m.Trainable())); err != nil {
		t.Fatal(err)
	}
	d, err := m.Decode(1, c.Context, bdia.DefaultGrid)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got := make([]float32, c.Vocab)
	if err := d.Prefill(got, ids[:2]); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids[2:] {
		if err := d.Next(got, []int32{id}); err != nil {
			t.Fatal(err)
		}
	}
	testkit.EqualBits(t, "logits", got, want)
}

// TestMergeIntoBF16: weights held in BF16 become the nearest ones to what the same values in float32 become.
func TestMergeIntoBF16(t *testing.T) {
	t.Parallel()
	for _, family := range []model.Family{model.GPT2, model.Llama, model.Granite, model.OLMo2} {
		c := tiny()
		if family != model.GPT2 {
			c.Family, c.MLP, c.Rope = family, 20, model.Rope{Theta: 1e4}
		}
		be := newCPU(t, 1)
		lora := model.LoRAConfig{Rank: 2, Alpha: 3, Targets: model.Targets{"all"}}
		wide := adapted(t, be, c, lora, plain(0))
		c.Weights = model.WeightsBF16
		m := adapted(t, be, c, lora, plain(0))
		var before [][]float32
		for i, p := range m.Params() {
			be.Copy(wide.Params()[i].Value, p.Value)
			before = append(before, read(be, p.Value))
		}
		wide.MergeLoRA()
		m.MergeLoRA()
		changed := 0
		for i, p := range m.Params() {
			nearest := be.Alloc(backend.Weights, p.Value.DType, p.Value.Shape)
			be.Upload(nearest, read(be, wide.Params()[i].Value))
			testkit.EqualBits(t, p.Name, read(be, p.Value), read(be, nearest))
			if !same(read(be, p.Value), before[i]) {
				changed++
			}
		}
		if want := 4 * c.Layers; changed != want { // qkv, proj, fc1 and fc2
			t.Errorf("%s: adapters change %d weights, want %d", c.Family, changed, want)
		}
	}
}
