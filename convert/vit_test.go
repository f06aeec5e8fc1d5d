package convert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

func vitConfig() model.ViTConfig {
	return model.ViTConfig{Image: 6, Patch: 2, Classes: 3, Layers: 2, Heads: 2, Width: 6, MLP: 10, GELU: backend.GELUErf}
}

// newViT allocates a model of c whose parameter i has the values 1000i+j.
func newViT(t testing.TB, c model.ViTConfig) (backend.Backend, *model.ViT) {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: cpu.ScratchBytes(1) + 1<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m, err := model.NewViT(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		host := make([]float32, p.Value.Len())
		for j := range host {
			host[j] = float32(i*1000 + j)
		}
		be.Upload(p.Value, host)
	}
	return be, m
}

func writeViT(t testing.TB, be backend.Backend, m *model.ViT) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteViT(&b, be, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestViTNames: names, shapes and their order are those of timm's
// VisionTransformer(img_size=6, patch_size=2, num_classes=3, embed_dim=6,
// depth=2, num_heads=2, mlp_ratio=10/6).
func TestViTNames(t *testing.T) {
	t.Parallel()
	of := func(first, last string) []string {
		list := strings.Split(first, ",")
		for n := range 2 {
			for _, s := range []string{"norm1.weight [6]", "norm1.bias [6]", "attn.qkv.weight [18 6]", "attn.qkv.bias [18]", "attn.proj.weight [6 6]",
				"attn.proj.bias [6]", "norm2.weight [6]", "norm2.bias [6]", "mlp.fc1.weight [10 6]", "mlp.fc1.bias [10]", "mlp.fc2.weight [6 10]", "mlp.fc2.bias [6]"} {
				list = append(list, fmt.Sprintf("blocks.%d.%s", n, s))
			}
		}
		return append(list, last+".weight [6]", last+".bias [6]", "head.weight [3 6]", "head.bias [3]")
	}
	const patch = "patch_embed.proj.weight [6 3 2 2],patch_embed.proj.bias [6]"
	for _, tc := range []struct {
		mean bool
		want []string
	}{
		{false, of(patch+",cls_token [1 1 6],pos_embed [1 10 6]", "norm")},
		{true, of(patch+",pos_embed [1 9 6]", "fc_norm")},
	} {
		c := vitConfig()
		c.MeanPool = tc.mean
		be, m := newViT(t, c)
		f := openBytes(t, writeViT(t, be, m))
		var got []string
		for _, name := range f.Names() {
			info, _ := f.Info(name)
			got = append(got, fmt.Sprint(name, " ", info.Shape))
		}
		slices.Sort(got)
		slices.Sort(tc.want)
		if !slices.Equal(got, tc.want) {
			t.Errorf("mean pool %v: the file has\n%q\nwant\n%q", tc.mean, got, tc.want)
		}
	}
}

// TestViTRoundTrip: what was written comes back bit for bit, and written again
// has the same bytes.
func TestViTRoundTrip(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*model.ViTConfig){
		func(*model.ViTConfig) {}, func(c *model.ViTConfig) { c.MeanPool = true }, func(c *model.ViTConfig) { c.TwoStream = true },
	} {
		c := vitConfig()
		change(&c)
		be, m := newViT(t, c)
		file := writeViT(t, be, m)
		be2, m2 := newViT(t, c)
		for _, p := range m2.Params() {
			be2.Zero(p.Value)
		}
		if err := ReadViT(be2, m2, openBytes(t, file)); err != nil {
			t.Fatal(err)
		}
		for i, p := range m.Params() {
			testkit.EqualBits(t, p.Name, download(be2, m2.Params()[i].Value), download(be, p.Value))
		}
		if !bytes.Equal(writeViT(t, be2, m2), file) {
			t.Errorf("%+v: the file changes when it is written again", c)
		}
	}
}

// huggingFace renames timm's tensors to Hugging Face's, with the products into
// attention cut in three.
func huggingFace(list []entry, prefix string) (out []entry) {
	for _, e := range list {
		block, part, ok := strings.Cut(e.name, ".attn.qkv.")
		if !ok {
			name := map[string]string{"cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings",
				"patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight", "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
				"norm.weight": "layernorm.weight", "norm.bias": "layernorm.bias"}[e.name]
			if name == "" {
				name = strings.NewReplacer("blocks.", "encoder.layer.", "norm1", "layernorm_before", "norm2", "layernorm_after", "attn.proj", "attention.output.dense",
					"mlp.fc1", "intermediate.dense", "mlp.fc2", "output.dense").Replace(e.name)
			}
			if e.name = prefix + name; strings.HasPrefix(name, "head.") {
				e.name = "classifier." + strings.TrimPrefix(name, "head.")
			}
			out = append(out, e)
			continue
		}
		for i, which := range []string{"query", "key", "value"} {
			n := len(e.data) / 3
			shape := slices.Clone(e.shape)
			shape[0] /= 3
			out = append(out, entry{fmt.Sprintf("%sencoder.layer.%s.attention.attention.%s.%s", prefix, strings.TrimPrefix(block, "blocks."), which, part),
				e.dtype, shape, e.data[i*n : (i+1)*n]})
		}
	}
	return out
}

// TestHuggingFaceViT: the tensors of Hugging Face's ViT, with and without the
// prefix of ViTForImageClassification, are found and put together.
func TestHuggingFaceViT(t *testing.T) {
	t.Parallel()
	be, m := newViT(t, vitConfig())
	list := entries(t, openBytes(t, writeViT(t, be, m)))
	for _, prefix := range []string{"vit.", ""} {
		be2, m2 := newViT(t, vitConfig())
		for _, p := range m2.Params() {
			be2.Zero(p.Value)
		}
		if err := ReadViT(be2, m2, openBytes(t, pack(t, huggingFace(list, prefix)))); err != nil {
			t.Fatal(err)
		}
		for i, p := range m.Params() {
			testkit.EqualBits(t, prefix+p.Name, download(be2, m2.Params()[i].Value), download(be, p.Value))
		}
	}
}

// TestWriteHuggingFaceViT: tensors and configuration are Hugging Face's, also those
// of half precision, and come back.
func TestWriteHuggingFaceViT(t *testing.T) {
	t.Parallel()
	be, m := newViT(t, vitConfig())
	var b bytes.Buffer
	if err := WriteHFViT(&b, be, m, Form{}); err != nil {
		t.Fatal(err)
	}
	want := huggingFace(entries(t, openBytes(t, writeViT(t, be, m))), hfViTPrefix)
	got := entries(t, openBytes(t, b.Bytes()))
	byName := func(a, b entry) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(want, byName)
	slices.SortFunc(got, byName)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("tensors\n%v\nwant\n%v", got, want)
	}
	mixed := Form{DType: func(name string) safetensors.DType {
		if strings.Contains(name, "layernorm") {
			return safetensors.F32
		}
		return safetensors.F16
	}}
	b.Reset()
	if err := WriteHFViT(&b, be, m, mixed); err != nil {
		t.Fatal(err)
	}
	first := bytes.Clone(b.Bytes())
	f := openBytes(t, first)
	be2, m2 := newViT(t, vitConfig())
	if err := ReadViT(be2, m2, f); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := WriteHFViT(&b, be2, m2, ViTFormOf(m2, f)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), first) {
		t.Error("another file came out")
	}
	b.Reset()
	if err := WriteViTAs(&b, be2, m2, ViTFormOf(m2, f)); err != nil {
		t.Fatal(err)
	}
	if info, _ := openBytes(t, b.Bytes()).Info("blocks.0.attn.qkv.weight"); info.DType != safetensors.F16 {
		t.Errorf("timm's qkv has type %v", info.DType)
	}
	v := ViTInfo{Config: vitConfig(), Mean: [3]float64{0.1, 0.2, 0.3}, Std: [3]float64{0.4, 0.5, 0.6}}
	v.Config.Eps, v.Config.MLP, v.Config.GELU = 1e-7, 9, backend.GELUTanh
	for k := range v.Config.Classes {
		v.Labels = append(v.Labels, fmt.Sprint("class ", k))
	}
	dir := t.TempDir()
	for name, write := range map[string]func(io.Writer) error{"config.json": func(w io.Writer) error { return WriteHFViTConfig(w, v, safetensors.F32) },
		"preprocessor_config.json": func(w io.Writer) error { return WritePreprocessor(w, v) }} {
		b.Reset()
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ReadViTConfig(dir); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%+v, %v, want %+v", got, err, v)
	}
	for _, change := range []func(*model.ViTConfig){func(c *model.ViTConfig) { c.MeanPool = true }, func(c *model.ViTConfig) { c.TwoStream = true }} {
		c := vitConfig()
		change(&c)
		if err := WriteHFViTConfig(io.Discard, ViTInfo{Config: c}, safetensors.F32); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestResample compares with torch 1.13's
// interpolate(mode="bicubic", antialias=True, align_corners=False), which timm
// uses for positions.
func TestResample(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to int
		want     []float64
	}{
		{3, 5, []float64{-3.208526, -2.411468, -1.245283, -1.439172, -1.701851, -1.424282, -0.772722, 0.128731, -0.32989, -0.738067, 1.443396, 1.830224, 2.25,
			1.309701, 0.636792, 2.497641, 2.619737, 2.557836, 1.135859, 0.198219, 2.868903, 2.845501, 2.518868, 0.83216, -0.250979}},
		{5, 3, []float64{-0.518284, 0.423703, 1.352899, 1.185349, 2.079459, 0.741002, 0.606982, 0.006584, -0.345621}},
		{4, 2, []float64{-0.149162, 1.196682, 0.851641, 0.875632}},
		{2, 3, []float64{-2.941958, -1.998355, -1.054752, -2.28125, -0.9375, 0.40625, -1.620541, 0.123355, 1.867253}},
	} {
		x := make([]float32, c.from*c.from)
		for i := range x {
			x[i] = float32(i*i*7%23-11) / 4
		}
		rows := resample(x, c.from, c.to, c.from)
		for r := range c.to {
			for i, v := range resample(rows[r*c.from:(r+1)*c.from], c.from, c.to, 1) {
				if want := c.want[r*c.to+i]; math.Abs(float64(v)-want) > 2e-6 {
					t.Errorf("%d to %d, row %d, column %d: %v, want %v", c.from, c.to, r, i, v, want)
				}
			}
		}
	}
}

// TestAdaptViT: a body keeps its weights under another head and another image
// size, the class token keeps its position, and constant positions stay constant.
func TestAdaptViT(t *testing.T) {
	t.Parallel()
	be, m := newViT(t, vitConfig())
	positions := make([]float32, 10*6)
	for i := range positions {
		positions[i] = float32(i % 6)
	}
	positions[3] = 77
	for _, p := range m.Params() {
		if p.Name == "pos" {
			be.Upload(p.Value, positions)
		}
	}
	list := entries(t, openBytes(t, writeViT(t, be, m)))
	for name, file := range map[string][]entry{"timm": list, "Hugging Face": huggingFace(list, "vit.")} {
		c := vitConfig()
		c.Image, c.Classes = 10, 5
		be2, m2 := newViT(t, c)
		if err := ReadViT(be2, m2, openBytes(t, pack(t, file))); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: error %v where nothing may change", name, err)
		}
		be2, m2 = newViT(t, c)
		changes, err := AdaptViT(be2, m2, openBytes(t, pack(t, file)))
		if err != nil || strings.Join(changes, "; ") != "a new head for 5 classes; positions interpolated from 3x3 to 5x5 patches" {
			t.Fatalf("%s: %q, %v", name, changes, err)
		}
		be3, fresh := newViT(t, c)
		for i, p := range m2.Params() {
			got := download(be2, p.Value)
			switch {
			case p.Name == "pos":
				for j, v := range got {
					if want := float64(j % 6); j != 3 && math.Abs(float64(v)-want) > 1e-5 {
						t.Errorf("position %d, channel %d: %v, want %v", j/6, j%6, v, want)
					}
				}
				if got[3] != 77 {
					t.Errorf("the class token's position is %v", got[:6])
				}
			case strings.HasPrefix(p.Name, "head."):
				testkit.EqualBits(t, p.Name, got, download(be3, fresh.Params()[i].Value))
			default:
				testkit.EqualBits(t, p.Name, got, download(be, m.Params()[i].Value))
			}
		}
	}
	be2, m2 := newViT(t, vitConfig())
	if changes, err := AdaptViT(be2, m2, openBytes(t, pack(t, list))); err != nil || changes != nil {
		t.Errorf("a model of the same sizes: %q, %v", changes, err)
	}
}

func TestViTMisfits(t *testing.T) {
	t.Parallel()
	be, m := newViT(t, vitConfig())
	base := entries(t, openBytes(t, writeViT(t, be, m)))
	with := func(name string, e ...entry) []entry {
		return append(slices.DeleteFunc(slices.Clone(base), func(e entry) bool { return e.name == name }), e...)
	}
	for _, tc := range []struct {
		name   string
		list   []entry
		change func(*model.ViTConfig)
		says   []string
	}{
		{"missing tensor", with("blocks.1.norm2.bias"), nil, []string{"blocks.1.norm2.bias", "missing"}},
		{"a scalar", with("pos_embed", entry{"pos_embed", safetensors.F32, nil, make([]byte, 4)}), nil, []string{"pos_embed", "[]"}},
		{"a scalar head", with("head.weight", entry{"head.weight", safetensors.F32, nil, make([]byte, 4)}), nil, nil},
		{"no square of positions", with("pos_embed", entry{"pos_embed", safetensors.F32, []int{1, 8, 6}, make([]byte, 8*6*4)}), nil, []string{"pos_embed", "[1 8 6]"}},
		{"layer scale", with("", entry{"blocks.1.ls1.gamma", safetensors.F32, []int{6}, make([]byte, 6*4)}), nil, []string{"blocks.1.ls1.gamma"}},
		{"a pooler", with("", entry{"pooler.dense.bias", safetensors.F32, []int{6}, make([]byte, 6*4)}), nil, nil},
		{"deeper model", base, func(c *model.ViTConfig) { c.Layers = 3 }, []string{"blocks.2.", "3 blocks"}},
		{"shallower model", base, func(c *model.ViTConfig) { c.Layers = 1 }, []string{"more than 1 block"}},
		{"other patches", base, func(c *model.ViTConfig) { c.Patch = 3 }, []string{"patch_embed.proj.weight"}},
		{"mean pool", base, func(c *model.ViTConfig) { c.MeanPool = true }, []string{"cls_token"}},
		{"something else", []entry{{"a", safetensors.F32, []int{1}, make([]byte, 4)}}, nil, []string{"vision transformer"}},
	} {
		c := vitConfig()
		if tc.change != nil {
			tc.change(&c)
		}
		be, m := newViT(t, c)
		_, err := AdaptViT(be, m, openBytes(t, pack(t, tc.list)))
		if tc.says == nil {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: error %v", tc.name, err)
			continue
		}
		for _, s := range tc.says {
			if !strings.Contains(err.Error(), s) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %q does not say %q in one line", tc.name, err, s)
			}
		}
	}
}

// timmsOwn and hfsOwn are the config.json of timm/vit_tiny_patch16_224.augreg_in21k
// and google/vit-base-patch16-224, in part.
const (
	timmsOwn = `{"architecture": "vit_tiny_patch16_224", "num_classes": 21843, "num_features": 192, "global_pool": "token",
	"pretrained_cfg": {"tag": "augreg_in21k", "custom_load": true, "input_size": [3, 224, 224], "fixed_input_size": true, "interpolation": "bicubic",
	"crop_pct": 0.9, "crop_mode": "center", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "num_classes": 21843, "pool_size": null,
	"first_conv": "patch_embed.proj", "classifier": "head"}}`
	hfsOwn = `{"architectures": ["ViTForImageClassification"], "attention_probs_dropout_prob": 0.0, "encoder_stride": 16, "hidden_act": "gelu",
	"hidden_dropout_prob": 0.0, "hidden_size": 768, "id2label": {"0": "tench", "1": "goldfish"}, "image_size": 224, "initializer_range": 0.02,
	"intermediate_size": 3072, "label2id": {"goldfish": 1, "tench": 0}, "layer_norm_eps": 1e-12, "model_type": "vit", "num_attention_heads": 12,
	"num_channels": 3, "num_hidden_layers": 12, "patch_size": 16, "qkv_bias": true}`
)

func TestReadViTConfig(t *testing.T) {
	t.Parallel()
	half := [3]float64{0.5, 0.5, 0.5}
	for _, tc := range []struct {
		name, text string
		want       ViTInfo
	}{
		{"timm", timmsOwn, ViTInfo{model.ViTConfig{Image: 224, Patch: 16, Classes: 21843, Layers: 12, Heads: 3, Width: 192, GELU: backend.GELUErf}, nil, half, half, 0.9}},
		{"Hugging Face", hfsOwn, ViTInfo{model.ViTConfig{Image: 224, Patch: 16, Classes: 2, Layers: 12, Heads: 12, Width: 768, GELU: backend.GELUErf, Eps: 1e-12},
			[]string{"tench", "goldfish"}, half, half, 0}},
	} {
		got, err := parseViTConfig([]byte(tc.text))
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, %v, want %+v", tc.name, got, err, tc.want)
		}
		var b bytes.Buffer
		if err := WriteViTConfig(&b, tc.want); err != nil {
			t.Fatal(err)
		}
		if got, err := parseViTConfig(b.Bytes()); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: written and read %+v, %v, want %+v", tc.name, got, err, tc.want)
		}
	}
	for name, want := range map[string]model.ViTConfig{
		"vit_base_patch16_384":   {Image: 384, Patch: 16, Layers: 12, Heads: 12, Width: 768},
		"vit_base_patch8_224":    {Image: 224, Patch: 8, Layers: 12, Heads: 12, Width: 768},
		"vit_large_patch32_384":  {Image: 384, Patch: 32, Layers: 24, Heads: 16, Width: 1024},
		"deit_small_patch16_224": {Image: 224, Patch: 16, Layers: 12, Heads: 6, Width: 384},
	} {
		want.Classes, want.GELU = 9, backend.GELUErf
		if got, err := parseViTConfig([]byte(`{"architecture": "` + name + `", "num_classes": 9}`)); err != nil || got.Config != want {
			t.Errorf("%s: %+v, %v", name, got.Config, err)
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"config.json": hfsOwn, "preprocessor_config.json": `{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ReadViTConfig(dir); err != nil || got.Mean != [3]float64{0.1, 0.2, 0.3} || got.Std != [3]float64{0.4, 0.5, 0.6} {
		t.Errorf("%+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"no JSON":      "{",
		"GPT-2":        `{"model_type": "gpt2"}`,
		"other":        `{"architecture": "resnet50"}`,
		"distilled":    `{"architecture": "deit_tiny_distilled_patch16_224", "num_classes": 9}`,
		"registers":    `{"architecture": "vit_small_patch14_reg4_dinov2", "num_classes": 9}`,
		"mean of all":  strings.Replace(timmsOwn, `"token"`, `"avg"`, 1),
		"activation":   strings.Replace(hfsOwn, `"gelu"`, `"relu"`, 1),
		"grey":         strings.Replace(hfsOwn, `"num_channels": 3`, `"num_channels": 1`, 1),
		"no qkv bias":  strings.Replace(hfsOwn, `"qkv_bias": true`, `"qkv_bias": false`, 1),
		"label gap":    strings.Replace(hfsOwn, `"1": "goldfish"`, `"2": "goldfish"`, 1),
		"huge":         strings.Replace(hfsOwn, "768", "7680000000", 1),
		"patch":        strings.Replace(hfsOwn, `"patch_size": 16`, `"patch_size": 15`, 1),
		"no crop":      strings.Replace(timmsOwn, `"crop_pct": 0.9`, `"crop_pct": -0.9`, 1),
		"wide crop":    strings.Replace(timmsOwn, `"crop_pct": 0.9`, `"crop_pct": 1.1`, 1),
		"names amiss":  strings.Replace(timmsOwn, `"num_features"`, `"label_names": ["a"], "num_features"`, 1),
		"without head": `{"architecture": "vit_tiny_patch16_224", "num_classes": 0}`,
	} {
		if got, err := parseViTConfig([]byte(text)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, error %v", name, got, err)
		}
	}
}

func FuzzReadViTConfig(f *testing.F) {
	f.Add([]byte(timmsOwn))
	f.Add([]byte(hfsOwn))
	f.Add([]byte(`{"architecture":"bdia_revvit","num_classes":2,"model_args":{"embed_dim":7,"depth":1,"num_heads":7,"mlp_ratio":1.3,"patch_size":3,"img_size":9}}`))
	f.Add([]byte(`{"architecture":"vit_tiny_patch16_224","num_classes":2,"global_pool":"avg","model_args":{"class_token":false,"act_layer":"gelu_tanh"}}`))
	for _, text := range testkit.Longer([]byte(timmsOwn)) {
		f.Add(text)
	}
	for _, text := range testkit.Longer([]byte(hfsOwn)) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parseViTConfig(text)
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		// What is accepted is valid, and is read back as it was written.
		if err := v.Config.Validate(); err != nil {
			t.Fatalf("accepted %+v: %v", v, err)
		}
		var b bytes.Buffer
		if err := WriteViTConfig(&b, v); err != nil {
			t.Fatal(err)
		}
		again, err := parseViTConfig(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		v.Config.MLP, again.Config.MLP = v.Config.MLPWidth(), again.Config.MLPWidth()
		if !reflect.DeepEqual(again.Config, v.Config) || !slices.Equal(again.Labels, v.Labels) {
			t.Errorf("read %+v, written and read again %+v", v, again)
		}
	})
}
