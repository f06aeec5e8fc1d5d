package convert

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/model"
)

// ViTInfo describes a vision transformer in a model folder.
type ViTInfo struct {
	Config    model.ViTConfig
	Labels    []string   // class names in the order of the logits; nil if the folder has none
	Mean, Std [3]float64 // normalisation of red, green, blue pixels in [0,1]
	Crop      float64    // timm's crop_pct: the part of an image's centre square that the model sees, as a share of the side; 0 means 1
}

// timmJSON is timm's config.json of a vision transformer, which transformers
// reads too (TimmWrapper). bdia_eps is our own key: timm's epsilon is always
// 1e-6.
type timmJSON struct {
	Architecture string     `json:"architecture"`
	Classes      int        `json:"num_classes"`
	Features     int        `json:"num_features"`
	Pool         string     `json:"global_pool"`
	Labels       []string   `json:"label_names,omitempty"`
	Args         timmArgs   `json:"model_args"`
	Pretrained   timmInputs `json:"pretrained_cfg"`
	Eps          float64    `json:"bdia_eps,omitempty"`
}

// timmArgs are the arguments of timm's VisionTransformer.
type timmArgs struct {
	Image      int     `json:"img_size,omitempty"`
	Patch      int     `json:"patch_size,omitempty"`
	Width      int     `json:"embed_dim,omitempty"`
	Layers     int     `json:"depth,omitempty"`
	Heads      int     `json:"num_heads,omitempty"`
	MLPRatio   float64 `json:"mlp_ratio,omitempty"`
	Pool       string  `json:"global_pool,omitempty"`
	ClassToken *bool   `json:"class_token,omitempty"`
	Activation string  `json:"act_layer,omitempty"`
}

// timmInputs describe the input images of a model.
type timmInputs struct {
	InputSize     []int     `json:"input_size"`
	FixedSize     bool      `json:"fixed_input_size"`
	Interpolation string    `json:"interpolation"`
	CropPct       float64   `json:"crop_pct"`
	CropMode      string    `json:"crop_mode"`
	Mean          []float64 `json:"mean"`
	Std           []float64 `json:"std"`
	Classes       int       `json:"num_classes"`
	FirstConv     string    `json:"first_conv"`
	Classifier    string    `json:"classifier"`
}

// timmSizes are the architectures with a name in timm. Other sizes are written as
// arguments to the first.
var timmSizes = []struct {
	name          string
	width, heads  int
	layers, patch int
}{
	{"vit_tiny_patch16_224", 192, 3, 12, 16}, {"vit_small_patch16_224", 384, 6, 12, 16}, {"vit_base_patch16_224", 768, 12, 12, 16},
	{"vit_small_patch32_224", 384, 6, 12, 32}, {"vit_base_patch32_224", 768, 12, 12, 32}, {"vit_large_patch16_224", 1024, 16, 24, 16},
}

// timmPlain are timm's names of plain vision transformers: size, patch and image.
var timmPlain = regexp.MustCompile(`^(?:vit|deit)_(tiny|small|base|large)_patch([0-9]{1,3})_([0-9]{1,4})$`)

// twoStream is our own name for RevViT, which timm does not have.
const twoStream = "bdia_revvit"

// Pooling of the class token, or of the patches.
const (
	poolToken = "token"
	poolMean  = "avg"
)

// WriteViTConfig writes config.json in timm's format.
func WriteViTConfig(w io.Writer, v ViTInfo) error {
	c := v.Config
	j := timmJSON{Architecture: timmSizes[0].name, Classes: c.Classes, Features: c.Width, Pool: poolToken, Labels: v.Labels, Eps: c.Eps,
		Args: timmArgs{Image: c.Image, Patch: c.Patch, Width: c.Width, Layers: c.Layers, Heads: c.Heads, MLPRatio: mlpRatio(c)},
		Pretrained: timmInputs{InputSize: []int{3, c.Image, c.Image}, FixedSize: true, Interpolation: "bicubic", CropPct: cmp.Or(v.Crop, 1), CropMode: "center",
			Mean: v.Mean[:], Std: v.Std[:], Classes: c.Classes, FirstConv: "patch_embed.proj", Classifier: "head"}}
	for _, s := range timmSizes {
		if s.width == c.Width && s.heads == c.Heads && s.layers == c.Layers && s.patch == c.Patch {
			j.Architecture = s.name
		}
	}
	if c.TwoStream {
		j.Architecture = twoStream
	}
	if c.MeanPool {
		j.Pool, j.Args.ClassToken = poolMean, new(bool)
	}
	j.Args.Pool = j.Pool
	if c.GELU == backend.GELUTanh {
		j.Args.Activation = "gelu_tanh"
	}
	return writeJSON(w, "config.json", j)
}

// mlpRatio returns the ratio for which timm's int(width*ratio) is the MLP's
// width.
func mlpRatio(c model.ViTConfig) float64 {
	r := float64(c.MLPWidth()) / float64(c.Width)
	if int(float64(c.Width)*r) < c.MLPWidth() {
		r = math.Nextafter(r, math.Inf(1))
	}
	return r
}

// hfViTJSON is the config.json of Hugging Face's ViT.
type hfViTJSON struct {
	ModelType  string            `json:"model_type"`
	Image      int               `json:"image_size"`
	Patch      int               `json:"patch_size"`
	Channels   *int              `json:"num_channels"`
	Width      int               `json:"hidden_size"`
	Layers     int               `json:"num_hidden_layers"`
	Heads      int               `json:"num_attention_heads"`
	Inner      int               `json:"intermediate_size"`
	Activation string            `json:"hidden_act"`
	Eps        float64           `json:"layer_norm_eps"`
	QKVBias    *bool             `json:"qkv_bias"`
	Labels     map[string]string `json:"id2label"`
}

// ReadViTConfig reads the config.json of the model folder dir: timm's, or Hugging
// Face's with its preprocessor_config.json.
func ReadViTConfig(dir string) (ViTInfo, error) {
	path := filepath.Join(dir, "config.json")
	text, err := textfile.ReadFile(path, maxConfig)
	if err != nil {
		return ViTInfo{}, fmt.Errorf("convert: %w", err)
	}
	v, err := parseViTConfig(text)
	if err != nil {
		return ViTInfo{}, fmt.Errorf("convert: %s: %w", path, err)
	}
	path = filepath.Join(dir, "preprocessor_config.json")
	text, err = textfile.ReadFile(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil
	}
	if err == nil {
		err = parseNormalisation(text, &v)
	}
	if err != nil {
		return ViTInfo{}, fmt.Errorf("convert: %s: %w", path, err)
	}
	return v, nil
}

// parseViTConfig reads the text of a config.json of either kind.
func parseViTConfig(text []byte) (v ViTInfo, err error) {
	var kind struct {
		ModelType    string `json:"model_type"`
		Architecture string `json:"architecture"`
	}
	if err := jsonfile.Decode(text, &kind); err != nil {
		return v, err
	}
	switch {
	case kind.Architecture != "":
		v, err = parseTimm(text)
	case kind.ModelType == "vit":
		v, err = parseHFViT(text)
	default:
		if other := (*KindError)(nil); errors.As(otherKind(text, ViT), &other) {
			return v, other
		}
		return v, fmt.Errorf("%w: model_type is %.40q; vision transformers of timm and Hugging Face's vit are supported", ErrUnsupported, kind.ModelType)
	}
	if err != nil {
		return v, err
	}
	if n := len(v.Labels); n > 0 && n != v.Config.Classes {
		return v, fmt.Errorf("%d class names for %d classes", n, v.Config.Classes)
	}
	return v, v.Config.Validate()
}

func parseTimm(text []byte) (v ViTInfo, err error) {
	var j timmJSON
	if err := jsonfile.Decode(text, &j); err != nil {
		return v, err
	}
	a := j.Args
	if len(j.Pretrained.InputSize) == 3 {
		a.Image = cmp.Or(a.Image, j.Pretrained.InputSize[1])
	}
	if name := timmPlain.FindStringSubmatch(j.Architecture); name != nil {
		patch, _ := strconv.Atoi(name[2])
		image, _ := strconv.Atoi(name[3])
		a.Patch, a.Image = cmp.Or(a.Patch, patch), cmp.Or(a.Image, image)
		for _, s := range timmSizes {
			if strings.HasPrefix(s.name, "vit_"+name[1]) {
				a.Width, a.Heads, a.Layers = cmp.Or(a.Width, s.width), cmp.Or(a.Heads, s.heads), cmp.Or(a.Layers, s.layers)
			}
		}
	} else if a.Width == 0 { // the arguments have no width either
		return v, fmt.Errorf("%w: architecture is %.40q; plain vision transformers as %s are supported", ErrUnsupported, j.Architecture, timmSizes[0].name)
	}
	gelu, ok := activations[cmp.Or(a.Activation, "gelu")]
	if a.Activation == "gelu_tanh" {
		gelu, ok = backend.GELUTanh, true
	}
	if !ok {
		return v, fmt.Errorf("%w: act_layer is %.40q; gelu and gelu_tanh are supported", ErrUnsupported, a.Activation)
	}
	mean := a.ClassToken != nil && !*a.ClassToken
	if pool := cmp.Or(a.Pool, j.Pool, poolToken); pool != poolToken && !(pool == poolMean && mean) {
		return v, fmt.Errorf("%w: pooling %.40q; the class token, or the mean of a model without one, are supported", ErrUnsupported, pool)
	}
	v.Config = model.ViTConfig{Image: cmp.Or(a.Image, 224), Patch: a.Patch, Classes: cmp.Or(j.Classes, j.Pretrained.Classes), Layers: a.Layers,
		Heads: a.Heads, Width: a.Width, MLP: innerWidth(a.Width, int(float64(a.Width)*cmp.Or(a.MLPRatio, 4))),
		MeanPool: mean, TwoStream: j.Architecture == twoStream, GELU: gelu, Eps: j.Eps}
	if crop := j.Pretrained.CropPct; crop < 0 || crop > 1 {
		return v, fmt.Errorf("crop_pct is %v; it must be above 0 and at most 1", crop)
	} else if crop < 1 {
		v.Crop = crop
	}
	v.Labels = j.Labels
	v.Mean, v.Std = threeOr(j.Pretrained.Mean, 0.5), threeOr(j.Pretrained.Std, 0.5)
	return v, nil
}

func parseHFViT(text []byte) (v ViTInfo, err error) {
	j := hfViTJSON{Image: 224, Patch: 16, Width: 768, Layers: 12, Heads: 12, Inner: 3072, Activation: "gelu", Eps: 1e-12} // defaults
	if err := jsonfile.Decode(text, &j); err != nil {
		return v, err
	}
	gelu, ok := activations[j.Activation]
	switch {
	case !ok:
		return v, fmt.Errorf("%w: hidden_act is %.40q; gelu and gelu_new are supported", ErrUnsupported, j.Activation)
	case j.Channels != nil && *j.Channels != 3:
		return v, fmt.Errorf("%w: %d channels; 3 are supported", ErrUnsupported, *j.Channels)
	case j.QKVBias != nil && !*j.QKVBias:
		return v, fmt.Errorf("%w: qkv_bias is false", ErrUnsupported)
	}
	v = ViTInfo{Config: model.ViTConfig{Image: j.Image, Patch: j.Patch, Classes: cmp.Or(len(j.Labels), 2), Layers: j.Layers, Heads: j.Heads,
		Width: j.Width, MLP: innerWidth(j.Width, j.Inner), GELU: gelu, Eps: j.Eps}, Mean: threeOr(nil, 0.5), Std: threeOr(nil, 0.5)}
	for i := range len(j.Labels) {
		name, ok := j.Labels[strconv.Itoa(i)]
		if !ok {
			return v, fmt.Errorf("id2label has %d classes, but not number %d", len(j.Labels), i)
		}
		v.Labels = append(v.Labels, name)
	}
	return v, nil
}

// parseNormalisation reads the text of a preprocessor_config.json.
func parseNormalisation(text []byte, v *ViTInfo) error {
	var j struct {
		Mean []float64 `json:"image_mean"`
		Std  []float64 `json:"image_std"`
	}
	if err := jsonfile.Decode(text, &j); err != nil {
		return err
	}
	v.Mean, v.Std = threeOr(j.Mean, 0.5), threeOr(j.Std, 0.5)
	return nil
}

// innerWidth returns ViTConfig.MLP for a hidden width of inner.
func innerWidth(width, inner int) int {
	if inner == 4*width {
		return 0
	}
	return inner
}

// threeOr returns list if it has three values, else three times other.
func threeOr(list []float64, other float64) [3]float64 {
	if len(list) == 3 {
		return [3]float64(list)
	}
	return [3]float64{other, other, other}
}
