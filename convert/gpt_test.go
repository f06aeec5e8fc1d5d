package convert

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

func config() model.GPTConfig {
	return model.GPTConfig{Vocab: 7, Context: 5, Layers: 2, Heads: 2, Width: 6}
}

// newModel allocates a model of c.
func newModel(t testing.TB, c model.GPTConfig) (backend.Backend, *model.GPT) {
	t.Helper()
	planner := plan.New(cpu.ScratchBytes(1))
	if _, err := model.NewGPT(planner, c, bdia.DefaultOptions()); err != nil {
		t.Fatal(err)
	}
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: planner.Peak().Total + 1<<20}) // and room for adapters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m, err := model.NewGPT(be, c, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	return be, m
}

// number fills m with values that name their place: parameter i, element j.
func number(be backend.Backend, m *model.GPT) {
	for i, p := range m.Params() {
		host := make([]float32, p.Value.Len())
		for j := range host {
			host[j] = float32(i*1000 + j)
		}
		be.Upload(p.Value, host)
	}
}

func download(be backend.Backend, x tensor.Tensor) []float32 {
	host := make([]float32, x.Len())
	be.Download(host, x)
	return host
}

// write returns m as a file.
func write(t testing.TB, be backend.Backend, m *model.GPT) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteGPT(&b, be, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// openBytes opens the safetensors file b.
func openBytes(t testing.TB, b []byte) *safetensors.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestNamesAndShapes: names, shapes and their order are those of Hugging Face's
// GPT2LMHeadModel with n_layer 2, n_embd 6, n_positions 5 and vocab_size 7.
// Linear weights are (in,out).
func TestNamesAndShapes(t *testing.T) {
	t.Parallel()
	want := []string{"wte.weight [7 6]", "wpe.weight [5 6]"}
	for n := range 2 {
		for _, s := range []string{"ln_1.weight [6]", "ln_1.bias [6]", "attn.c_attn.weight [6 18]", "attn.c_attn.bias [18]",
			"attn.c_proj.weight [6 6]", "attn.c_proj.bias [6]", "ln_2.weight [6]", "ln_2.bias [6]",
			"mlp.c_fc.weight [6 24]", "mlp.c_fc.bias [24]", "mlp.c_proj.weight [24 6]", "mlp.c_proj.bias [6]"} {
			want = append(want, fmt.Sprintf("h.%d.%s", n, s))
		}
	}
	want = append(want, "ln_f.weight [6]", "ln_f.bias [6]")
	for _, tc := range []struct {
		name   string
		change func(*model.GPTConfig)
		extra  []string
	}{
		{"tied", func(*model.GPTConfig) {}, nil},
		{"untied", func(c *model.GPTConfig) { c.Untied = true }, []string{"lm_head.weight [7 6]"}},
		{"no bias", func(c *model.GPTConfig) { c.NoBias = true }, nil}, // others need the biases: zero
	} {
		c := config()
		tc.change(&c)
		be, m := newModel(t, c)
		number(be, m)
		f := openBytes(t, write(t, be, m))
		var got []string
		for _, n := range f.Names() {
			info, _ := f.Info(n)
			got = append(got, fmt.Sprint(n, " ", info.Shape))
			if info.DType != safetensors.F32 {
				t.Errorf("%s: %s has type %v", tc.name, n, info.DType)
			}
			if c.NoBias && strings.HasSuffix(n, ".bias") {
				zero := make([]float32, info.Elems())
				b := slices.Repeat([]float32{1}, len(zero))
				if err := f.ReadFloat32(n, b); err != nil || !slices.Equal(b, zero) {
					t.Errorf("%s: %s is %v, %v", tc.name, n, b, err)
				}
			}
		}
		slices.Sort(got)
		all := slices.Sorted(slices.Values(append(slices.Clone(want), tc.extra...)))
		if !slices.Equal(got, all) {
			t.Errorf("%s: tensors\n%q\nwant\n%q", tc.name, got, all)
		}
		if f.Metadata()["format"] != "pt" {
			t.Errorf("%s: metadata %v; transformers wants a format", tc.name, f.Metadata())
		}
	}
}

// TestTransposes looks single elements up in both layouts.
func TestTransposes(t *testing.T) {
	t.Parallel()
	c := config()
	c.Untied = true
	be, m := newModel(t, c)
	number(be, m)
	f := openBytes(t, write(t, be, m))
	for ours, theirs := range map[string]string{
		"blocks.1.attn.qkv.weight": "h.1.attn.c_attn.weight", "blocks.0.attn.proj.weight": "h.0.attn.c_proj.weight",
		"blocks.0.mlp.fc1.weight": "h.0.mlp.c_fc.weight", "blocks.1.mlp.fc2.weight": "h.1.mlp.c_proj.weight",
		"wte.weight": "wte.weight", "wpe.weight": "wpe.weight", "head.weight": "lm_head.weight",
	} {
		i := slices.IndexFunc(m.Params(), func(p *tensor.Param) bool { return p.Name == ours })
		if i < 0 {
			t.Fatalf("no parameter %s", ours)
		}
		p := m.Params()[i]
		host := download(be, p.Value)
		info, ok := f.Info(theirs)
		if !ok {
			t.Fatalf("no tensor %s", theirs)
		}
		file := make([]float32, info.Elems())
		if err := f.ReadFloat32(theirs, file); err != nil {
			t.Fatal(err)
		}
		rows, cols := p.Value.Rows(), p.Value.Cols()
		for r := range rows {
			for c := range cols {
				at := r*cols + c
				if strings.HasPrefix(theirs, "h.") {
					at = c*rows + r
				}
				if file[at] != host[r*cols+c] {
					t.Fatalf("%s[%d,%d] is %v, in the file %v", ours, r, c, host[r*cols+c], file[at])
				}
			}
		}
	}
}

func TestTransposeTiles(t *testing.T) {
	t.Parallel()
	for _, d := range [][2]int{{1, 1}, {1, 50}, {33, 32}, {31, 65}, {64, 64}} {
		rows, cols := d[0], d[1]
		src, dst := make([]float32, rows*cols), make([]float32, rows*cols)
		for i := range src {
			src[i] = float32(i)
		}
		transpose(dst, rows, src, rows, cols)
		for i := range src {
			if r, c := i/cols, i%cols; dst[c*rows+r] != src[i] {
				t.Fatalf("(%d,%d): element (%d,%d) is %v", rows, cols, r, c, dst[c*rows+r])
			}
		}
	}
}

// TestRoundTrip: written, read and written again gives the same bytes, the same
// parameters and the same configuration.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*model.GPTConfig){
		func(*model.GPTConfig) {},
		func(c *model.GPTConfig) { c.Untied = true },
		func(c *model.GPTConfig) { c.NoBias = true },
		func(c *model.GPTConfig) {
			c.NoBias, c.Untied, c.GELU, c.MLP, c.Eps = true, true, backend.GELUErf, 10, 1e-6
		},
		func(c *model.GPTConfig) {
			c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = 0.1, 0.2, 0.3
		},
		func(c *model.GPTConfig) { c.Layers = 12 },
	} {
		c := config()
		change(&c)
		be, m := newModel(t, c)
		m.Init(3)
		file := write(t, be, m)
		var text bytes.Buffer
		if err := WriteGPTConfig(&text, c); err != nil {
			t.Fatal(err)
		}
		got, err := ReadGPTConfig(configFile(t, text.String()))
		want := c
		want.Eps = c.Epsilon()
		if err != nil || got != want {
			t.Errorf("configuration %+v, %v, want %+v", got, err, want)
		}
		be2, m2 := newModel(t, got)
		number(be2, m2)
		if err := ReadGPT(be2, m2, openBytes(t, file)); err != nil {
			t.Fatal(err)
		}
		for i, p := range m.Params() {
			testkit.EqualBits(t, p.Name, download(be2, m2.Params()[i].Value), download(be, p.Value))
		}
		if !bytes.Equal(write(t, be2, m2), file) {
			t.Errorf("%+v: the second file differs from the first", c)
		}
	}
}

// entry is one tensor of a file made by hand.
type entry struct {
	name  string
	dtype safetensors.DType
	shape []int
	data  []byte
}

// entries lists the tensors of a file.
func entries(t testing.TB, f *safetensors.File) []entry {
	t.Helper()
	var list []entry
	for _, n := range f.Names() {
		info, _ := f.Info(n)
		data, err := f.Bytes(n)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, entry{n, info.DType, info.Shape, bytes.Clone(data)})
	}
	return list
}

// pack writes a file of the entries.
func pack(t testing.TB, list []entry) []byte {
	t.Helper()
	infos := make([]safetensors.Info, len(list))
	for i, e := range list {
		infos[i] = safetensors.Info{Name: e.name, DType: e.dtype, Shape: e.shape}
	}
	var b bytes.Buffer
	w, err := safetensors.NewWriter(&b, infos, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := w.Write(e.name, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestForeignFiles: what other programs write is read, whatever the prefix, the
// buffers of old files and the number format.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	be, m := newModel(t, config())
	for _, p := range m.Params() { // values that half precision holds
		host := make([]float32, p.Value.Len())
		for j := range host {
			host[j] = float32(j%17-8) / 16
		}
		be.Upload(p.Value, host)
	}
	base := entries(t, openBytes(t, write(t, be, m)))
	narrow := func(d safetensors.DType, bits func(float32) uint16) []entry {
		list := slices.Clone(base)
		for i, e := range list {
			var b []byte
			for j := 0; j < len(e.data); j += 4 {
				b = binary.LittleEndian.AppendUint16(b, bits(math.Float32frombits(binary.LittleEndian.Uint32(e.data[j:]))))
			}
			list[i].dtype, list[i].data = d, b
		}
		return list
	}
	prefixed := slices.Clone(base)
	for i := range prefixed {
		prefixed[i].name = "transformer." + prefixed[i].name
	}
	table := prefixed[slices.IndexFunc(prefixed, func(e entry) bool { return e.name == "transformer.wte.weight" })].data
	prefixed = append(prefixed, entry{"lm_head.weight", safetensors.F32, []int{7, 6}, table}) // as the configuration has it: tied
	buffers := append(slices.Clone(base), entry{"h.0.attn.bias", safetensors.F32, []int{1, 1, 5, 5}, make([]byte, 100)},
		entry{"h.0.attn.masked_bias", safetensors.F32, nil, make([]byte, 4)})
	for name, list := range map[string][]entry{
		"plain": base, "prefix": prefixed, "buffers": buffers,
		"bf16": narrow(safetensors.BF16, func(v float32) uint16 { return uint16(math.Float32bits(v) >> 16) }),
		"fp16": narrow(safetensors.F16, halfBits),
	} {
		be2, m2 := newModel(t, config())
		number(be2, m2)
		if err := ReadGPT(be2, m2, openBytes(t, pack(t, list))); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, p := range m.Params() {
			testkit.EqualBits(t, name+": "+p.Name, download(be2, m2.Params()[i].Value), download(be, p.Value))
		}
	}
}

// halfBits returns the bits of a normal number, or zero, in half precision.
func halfBits(v float32) uint16 {
	b := math.Float32bits(v)
	if v == 0 {
		return uint16(b >> 16)
	}
	return uint16(b>>16&0x8000 | (b>>23&0xff-112)<<10 | b>>13&0x3ff)
}

func TestMisfits(t *testing.T) {
	t.Parallel()
	be, m := newModel(t, config())
	m.Init(1)
	base := entries(t, openBytes(t, write(t, be, m)))
	without := func(name string) []entry {
		return slices.DeleteFunc(slices.Clone(base), func(e entry) bool { return e.name == name })
	}
	reshaped := slices.Clone(base)
	for i, e := range reshaped {
		if e.name == "h.1.mlp.c_fc.weight" { // an untransposed linear layer
			reshaped[i].shape = []int{24, 6}
		}
	}
	table := bytes.Clone(base[slices.IndexFunc(base, func(e entry) bool { return e.name == "wte.weight" })].data)
	table[len(table)-4] ^= 1
	scalar := append(without("wpe.weight"), entry{"wpe.weight", safetensors.F32, nil, make([]byte, 4)})
	integers := slices.Clone(base)
	for i, e := range integers {
		if e.name == "ln_f.bias" {
			integers[i].dtype = safetensors.I32
		}
	}
	for _, tc := range []struct {
		name   string
		list   []entry
		change func(*model.GPTConfig)
		says   []string
		is     error
	}{
		{"missing tensor", without("h.1.ln_2.bias"), nil, []string{"h.1.ln_2.bias", "missing"}, ErrMismatch},
		{"no embedding", without("wte.weight"), nil, []string{"wte.weight", "missing"}, ErrMismatch},
		{"untransposed", reshaped, nil, []string{"h.1.mlp.c_fc.weight", "[24 6]", "[6 24]"}, ErrMismatch},
		{"a scalar", scalar, nil, []string{"wpe.weight", "[]", "[5 6]"}, ErrMismatch},
		{"integers", integers, nil, []string{"ln_f.bias", "I32"}, ErrMismatch},
		{"deeper model", base, func(c *model.GPTConfig) { c.Layers = 3 }, []string{"h.2.", "3 blocks"}, ErrMismatch},
		{"shallower model", base, func(c *model.GPTConfig) { c.Layers = 1 }, []string{"more than 1 block"}, ErrMismatch},
		{"larger vocabulary", base, func(c *model.GPTConfig) { c.Vocab = 8 }, []string{"wte.weight", "[7 6]", "[8 6]"}, ErrMismatch},
		{"longer context", base, func(c *model.GPTConfig) { c.Context = 6 }, []string{"wpe.weight"}, ErrMismatch},
		{"untied", base, func(c *model.GPTConfig) { c.Untied = true }, []string{"lm_head.weight", "missing"}, ErrMismatch},
		{"tied, with a head of its own", append(slices.Clone(base), entry{"lm_head.weight", safetensors.F32, []int{7, 6}, table}), nil, []string{"lm_head.weight differs from wte.weight", "tie_word_embeddings"}, ErrMismatch},
		{"tied, with a shorter head", append(slices.Clone(base), entry{"lm_head.weight", safetensors.F32, []int{6, 6}, table[:6*6*4]}), nil, []string{"lm_head.weight differs"}, ErrMismatch},
		{"another tensor", append(slices.Clone(base), entry{"h.0.attn.c_attn.lora_A", safetensors.F32, []int{1}, make([]byte, 4)}), nil, []string{"lora_A"}, ErrMismatch},
		{"something else", []entry{{"a", safetensors.F32, []int{1}, make([]byte, 4)}}, nil, []string{"wte.weight", "GPT-2"}, ErrMismatch},
	} {
		c := config()
		if tc.change != nil {
			tc.change(&c)
		}
		be, m := newModel(t, c)
		err := ReadGPT(be, m, openBytes(t, pack(t, tc.list)))
		if err == nil {
			t.Errorf("%s: no error", tc.name)
			continue
		}
		if tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%s: %v is not %v", tc.name, err, tc.is)
		}
		for _, s := range append(tc.says, ": ") {
			if !strings.Contains(err.Error(), s) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %q does not say %q in one line", tc.name, err, s)
			}
		}
	}
}
