package convert

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/model"
)

// familyFacts are what a config.json of a family may say, and what it means by saying nothing.
type familyFacts struct {
	architecture   string  // Hugging Face's name of its models
	keys, head     int     // heads of keys and values, their width; 0: as many as of queries, what divides the width
	eps            float64 // of the norms
	attentionBias  bool    // attention_bias counts
	mlpBias        bool    // mlp_bias counts
	window         bool    // sliding_window counts,
	windowIfUsed   bool    // but only with use_sliding_window
	scales         bool    // Granite's four count
	normsOfOutputs bool    // it has norms of what attention and MLP give, not of what they take
}

var families = map[model.Family]familyFacts{
	model.Llama:   {architecture: "LlamaForCausalLM", eps: 1e-6, attentionBias: true, mlpBias: true},
	model.Qwen2:   {architecture: "Qwen2ForCausalLM", keys: 32, eps: 1e-6, window: true, windowIfUsed: true},
	model.Qwen3:   {architecture: "Qwen3ForCausalLM", keys: 32, head: 128, eps: 1e-6, attentionBias: true, window: true, windowIfUsed: true},
	model.Mistral: {architecture: "MistralForCausalLM", keys: 8, eps: 1e-6, window: true},
	model.Granite: {architecture: "GraniteForCausalLM", eps: 1e-6, attentionBias: true, mlpBias: true, scales: true},
	model.OLMo2:   {architecture: "Olmo2ForCausalLM", eps: 1e-5, attentionBias: true, normsOfOutputs: true},
}

// familyOf returns the family that a config.json names, if it is one.
func familyOf(modelType string, architecture []string) (model.Family, bool) {
	f := model.Family(strings.ToLower(modelType))
	if f == "" && len(architecture) > 0 {
		for family, facts := range families {
			if facts.architecture == architecture[0] {
				return family, true
			}
		}
	}
	return f, slices.Contains(model.Families(), f)
}

// familyJSON is Hugging Face's config.json of a family. A key with a default of its own in a family is a pointer.
type familyJSON struct {
	Architectures []string  `json:"architectures"`
	ModelType     string    `json:"model_type"`
	Vocab         int       `json:"vocab_size"`
	Width         int       `json:"hidden_size"`
	MLP           int       `json:"intermediate_size"`
	Layers        int       `json:"num_hidden_layers"`
	Heads         int       `json:"num_attention_heads"`
	KVHeads       *int      `json:"num_key_value_heads"`
	HeadWidth     *int      `json:"head_dim,omitempty"`
	Activation    string    `json:"hidden_act"`
	Context       int       `json:"max_position_embeddings"`
	Deviation     float64   `json:"initializer_range,omitempty"`
	Eps           *float64  `json:"rms_norm_eps"`
	Theta         *float64  `json:"rope_theta"`
	Scaling       *ropeJSON `json:"rope_scaling"`
	Parameters    *ropeJSON `json:"rope_parameters,omitempty"` // of transformers 5, in place of the two
	AttentionBias bool      `json:"attention_bias"`
	MLPBias       bool      `json:"mlp_bias"`
	Dropout       float64   `json:"attention_dropout"`
	Tied          bool      `json:"tie_word_embeddings"`
	Begin         tokenIDs  `json:"bos_token_id"`
	End           tokenIDs  `json:"eos_token_id"`
	TorchType     string    `json:"torch_dtype"`

	Window     anyValue `json:"sliding_window,omitempty"`
	UseWindow  *bool    `json:"use_sliding_window,omitempty"`
	FullLayers *int     `json:"max_window_layers,omitempty"`
	LayerTypes []string `json:"layer_types,omitempty"`

	EmbeddingScale *float `json:"embedding_multiplier,omitempty"`
	AttentionScale *float `json:"attention_multiplier,omitempty"`
	BranchScale    *float `json:"residual_multiplier,omitempty"`
	LogitsDivisor  *float `json:"logits_scaling,omitempty"`
}

// ropeJSON describes a rotation and its scaling.
type ropeJSON struct {
	Type            string  `json:"rope_type,omitempty"`
	TypeOld         string  `json:"type,omitempty"`
	Theta           float64 `json:"rope_theta,omitempty"`
	Factor          float   `json:"factor,omitempty"`
	LowFreq         float   `json:"low_freq_factor,omitempty"`
	HighFreq        float   `json:"high_freq_factor,omitempty"`
	OriginalContext int     `json:"original_max_position_embeddings,omitempty"`
	BetaFast        float   `json:"beta_fast,omitempty"`
	BetaSlow        float   `json:"beta_slow,omitempty"`
	AttentionFactor float   `json:"attention_factor,omitempty"`
	Truncate        *bool   `json:"truncate,omitempty"`
	MScale          float   `json:"mscale,omitempty"`
	MScaleAllDim    float   `json:"mscale_all_dim,omitempty"`
}

// float is written with a point: transformers 4 warns of "factor": 8.
type float float64

// MarshalJSON writes 8 as 8.0.
func (f float) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(float64(f))
	if err == nil && !bytes.ContainsAny(text, ".e") {
		text = append(text, ".0"...)
	}
	return text, err
}

// foreign are keys of models that are not the dense ones of a family, beside values that say no, and what to do.
var foreign = []struct{ key, advice string }{
	{"quantization_config", quantisedAdvice},
	{"compression_config", quantisedAdvice},
	{"auto_map", "it computes with code of its own, which is not run here; take a model that needs none"},
	{"num_experts", expertsAdvice},
	{"num_local_experts", expertsAdvice},
	{"n_routed_experts", expertsAdvice},
	{"vision_config", visionAdvice},
	{"text_config", visionAdvice},
	{"adapter", "it has adapters inside; merge them, and save that model"},
	{"partial_rotary_factor", "only a part of each head turns; take another model"},
}

const (
	quantisedAdvice = "its weights are quantised; take the model that they were made from, in F32, F16 or BF16"
	expertsAdvice   = "it is a mixture of experts; take a dense model"
	visionAdvice    = "it is more than a language model, of images or sound for example; take a model of text alone"
)

// foreignKey returns the first of them that a config.json has, with its value and what to do; "" if it has none.
func foreignKey(text []byte) (string, error) {
	keys, err := jsonfile.Unknown(text, struct{}{})
	if err != nil {
		return "", err
	}
	for _, f := range foreign {
		if value, ok := keys[f.key]; ok && !slices.Contains([]string{"null", "{}", "[]", "0", "1", "1.0", "false"}, string(value)) {
			var short bytes.Buffer
			json.Compact(&short, value) // which is JSON
			return fmt.Sprintf("%s is %.60s: %s", f.key, short.String(), f.advice), nil
		}
	}
	return "", nil
}

// foreignModel returns what foreignKey does of the text of any config.json.
func foreignModel(text []byte) string {
	clean, err := jsonfile.Clean(text)
	if err != nil {
		return ""
	}
	found, _ := foreignKey(clean)
	return found
}

// parseFamily reads the text of a family's config.json.
func parseFamily(text []byte, family model.Family) (info GPTInfo, err error) {
	clean, err := jsonfile.Clean(text)
	if err != nil {
		return info, err
	}
	facts, j := families[family], familyJSON{}
	if facts.keys > 0 {
		j.KVHeads = &facts.keys // unless the file says more; null: as many as of queries
	}
	if err := jsonfile.Unmarshal(clean, &j); err != nil {
		return info, err
	}
	if key, err := foreignKey(clean); err != nil || key != "" {
		return info, cmp.Or(err, fmt.Errorf("%w: %s", ErrUnsupported, key))
	}
	for _, size := range []struct {
		key   string
		value int
	}{{"vocab_size", j.Vocab}, {"hidden_size", j.Width}, {"intermediate_size", j.MLP}, {"num_hidden_layers", j.Layers}, {"num_attention_heads", j.Heads},
		{"max_position_embeddings", j.Context}} {
		if size.value == 0 {
			return info, fmt.Errorf("%s is missing, or 0; get the file again", size.key)
		}
	}
	if a := cmp.Or(j.Activation, "silu"); a != "silu" {
		return info, fmt.Errorf("%w: hidden_act is %.40q; silu is supported", ErrUnsupported, a)
	}
	c := model.GPTConfig{Family: family, Vocab: j.Vocab, Context: j.Context, Layers: j.Layers, Heads: j.Heads, Width: j.Width, MLP: j.MLP,
		Untied: !j.Tied, Eps: or(j.Eps, facts.eps), AttentionDropout: j.Dropout, MLPBias: j.MLPBias && facts.mlpBias, AttentionBias: j.AttentionBias && facts.attentionBias}
	for _, size := range []struct {
		key  string
		zero bool
	}{{"num_key_value_heads", isZero(j.KVHeads)}, {"head_dim", isZero(j.HeadWidth)}, {"rms_norm_eps", isZero(j.Eps)}, {"embedding_multiplier", isZero(j.EmbeddingScale)},
		{"attention_multiplier", isZero(j.AttentionScale)}, {"residual_multiplier", isZero(j.BranchScale)}, {"logits_scaling", isZero(j.LogitsDivisor)}} {
		if size.zero {
			return info, fmt.Errorf("%s is 0; it must be positive", size.key)
		}
	}
	c.KVHeads = or(j.KVHeads, j.Heads)
	c.HeadWidth = or(j.HeadWidth, facts.head)
	if facts.scales {
		j.scales(&c)
	}
	if c.Rope, err = j.rope(clean); err != nil {
		return info, err
	}
	c.Context = c.Rope.Extended(c.Context)
	if err := j.window(&c); err != nil {
		return info, err
	}
	info.Config, info.Source = c, text
	if begin := j.Begin.of(c.Vocab); len(begin) > 0 {
		info.Begin = &begin[0]
	}
	info.endAt(j.End.of(c.Vocab))
	info.Outside = append(j.Begin.outside("config.json: bos_token_id", c.Vocab), j.End.outside("config.json: eos_token_id", c.Vocab)...)
	if info.Others, err = otherKeys(text, j); err != nil {
		return info, err
	}
	return info, inFile(c.Validate(), j.keys())
}

// keys are the names that the settings of a model have in j.
func (j familyJSON) keys() map[string]string {
	rope, theta := "rope_scaling.", "rope_theta"
	if j.Parameters != nil {
		rope, theta = "rope_parameters.", "rope_parameters.rope_theta"
	}
	keys := map[string]string{"vocabulary": "vocab_size", "context": "max_position_embeddings", "layers": "num_hidden_layers", "heads": "num_attention_heads",
		"width": "hidden_size", "MLP width": "intermediate_size", "kv_heads": "num_key_value_heads", "head_width": "head_dim", "window": "sliding_window",
		"full_layers": "max_window_layers", "layer norm epsilon": "rms_norm_eps", "attention dropout": "attention_dropout", "rope.theta": theta,
		"embedding_scale": "embedding_multiplier", "attention_scale": "attention_multiplier", "branch_scale": "residual_multiplier", "logits_divisor": "logits_scaling"}
	for setting, key := range map[string]string{"factor": "factor", "low_freq": "low_freq_factor", "high_freq": "high_freq_factor", "original_context": "original_max_position_embeddings",
		"beta_fast": "beta_fast", "beta_slow": "beta_slow", "attention_factor": "attention_factor", "mscale": "mscale", "mscale_all_dim": "mscale_all_dim"} {
		keys["rope."+setting] = rope + key
	}
	return keys
}

// inFile names a setting as a file does, by its keys.
func inFile(err error, keys map[string]string) error {
	var bad *model.SettingError
	if !errors.As(err, &bad) || keys[bad.Setting] == "" {
		return err
	}
	value := fmt.Sprint(bad.Value)
	if value == "0" {
		value = "missing, or 0"
	}
	return fmt.Errorf("%s is %s; %s", keys[bad.Setting], value, bad.Reason)
}

// isZero reports a key that is there, and 0.
func isZero[T int | float | float64](p *T) bool { return p != nil && *p == 0 }

// or returns what p points to, or the value of a key that is missing.
func or[T any](p *T, missing T) T {
	if p == nil {
		return missing
	}
	return *p
}

// scales sets Granite's scales, which are 1 unless the file says more. A factor that changes nothing is left out.
func (j familyJSON) scales(c *model.GPTConfig) {
	_, usual, _, _ := c.Scales()
	for _, s := range []struct {
		value   *float
		nothing float64
		to      *float64
	}{{j.EmbeddingScale, 1, &c.EmbeddingScale}, {j.AttentionScale, usual, &c.AttentionScale}, {j.BranchScale, 1, &c.BranchScale}, {j.LogitsDivisor, 1, &c.LogitsDivisor}} {
		if v := float64(or(s.value, 1)); float32(v) != float32(s.nothing) {
			*s.to = v
		}
	}
}

// setScales is the inverse of scales.
func (j *familyJSON) setScales(c model.GPTConfig) {
	embedding, attention, branch, divisor := c.Scales()
	for _, s := range []struct {
		to    **float
		value float64
	}{{&j.EmbeddingScale, embedding}, {&j.AttentionScale, attention}, {&j.BranchScale, branch}, {&j.LogitsDivisor, divisor}} {
		v := float(s.value)
		*s.to = &v
	}
}

// rope returns the rotation that the text of j describes.
func (j familyJSON) rope(text []byte) (r model.Rope, err error) {
	s, key := ropeJSON{}, "rope_scaling"
	switch {
	case j.Parameters != nil:
		s, key = *j.Parameters, "rope_parameters"
	case j.Scaling != nil:
		s = *j.Scaling
	}
	if err := strangeRope(text, key); err != nil {
		return r, err
	}
	if s.Type == "" && s.TypeOld == "" && s != (ropeJSON{Theta: s.Theta}) {
		return r, fmt.Errorf("%s has no rope_type; it says what its other keys mean", key)
	}
	r.Theta = cmp.Or(s.Theta, or(j.Theta, 1e4))
	switch kind := cmp.Or(s.Type, s.TypeOld, "default"); kind {
	case "default":
	case model.RopeLinear, model.RopeDynamic:
		r.Kind, r.Factor = kind, float64(s.Factor)
		if kind == model.RopeDynamic {
			r.OriginalContext = j.Context
		}
	case model.RopeLlama3:
		r.Kind, r.Factor, r.LowFreq, r.HighFreq = kind, float64(s.Factor), float64(s.LowFreq), float64(s.HighFreq)
		r.OriginalContext = cmp.Or(s.OriginalContext, j.Context)
	case model.RopeYarn:
		r.Kind, r.Factor, r.AttentionFactor = kind, float64(s.Factor), float64(s.AttentionFactor)
		r.BetaFast, r.BetaSlow = float64(cmp.Or(s.BetaFast, 32)), float64(cmp.Or(s.BetaSlow, 1))
		r.MScale, r.MScaleAllDim = float64(s.MScale), float64(s.MScaleAllDim)
		r.OriginalContext, r.NoTruncate = cmp.Or(s.OriginalContext, j.Context), !or(s.Truncate, true)
	default:
		return r, fmt.Errorf("%w: the rotation's rope_type is %.40q; default, linear, dynamic, yarn and llama3 are supported", ErrUnsupported, kind)
	}
	return r, nil
}

// strangeRope returns an error for what the description of the rotation, under key in text, has beside the keys of
// ropeJSON, if a model can depend on it: a rotation of a part of each head, or one for each kind of layer.
func strangeRope(text []byte, key string) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	if len(all[key]) == 0 || all[key][0] != '{' {
		return nil
	}
	if found, err := foreignKey(all[key]); err != nil || found != "" {
		return cmp.Or(err, fmt.Errorf("%w: %s.%s", ErrUnsupported, key, found))
	}
	others, err := jsonfile.Unknown(all[key], ropeJSON{})
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if value := others[name]; len(value) > 2 && strings.ContainsAny(string(value[:1]), "{[") {
			return fmt.Errorf("%w: %s.%s is %.40s; one rotation for all layers is supported", ErrUnsupported, key, name, value)
		}
	}
	return err
}

// The two kinds of layer_types.
const (
	fullLayer   = "full_attention"
	windowLayer = "sliding_attention"
)

// window sets the window, and the first blocks that have none.
func (j familyJSON) window(c *model.GPTConfig) error {
	facts := families[c.Family]
	if !facts.window || facts.windowIfUsed && !or(j.UseWindow, false) {
		return nil
	}
	if facts.windowIfUsed {
		c.FullLayers = or(j.FullLayers, 28)
	}
	if c.Window = 4096; len(j.Window) > 0 { // else as in the first Mistral
		c.Window = 0
		if err := jsonfile.Unmarshal(j.Window, &c.Window); err != nil {
			return fmt.Errorf("sliding_window: %w", err)
		}
	}
	for k, kind := range j.LayerTypes {
		if kind != fullLayer && kind != windowLayer {
			return fmt.Errorf("%w: layer_types has %.40q; %s and %s are supported", ErrUnsupported, kind, fullLayer, windowLayer)
		}
		if k == 0 || kind == fullLayer && k == c.FullLayers {
			c.FullLayers = k
		}
		if kind == fullLayer {
			if k > c.FullLayers {
				return fmt.Errorf("%w: layer_types has %s after %s; layers without a window are supported before those with one", ErrUnsupported, fullLayer, windowLayer)
			}
			c.FullLayers = k + 1
		}
	}
	if n := len(j.LayerTypes); n > 0 && n != c.Layers {
		return fmt.Errorf("layer_types has %d layers, and num_hidden_layers is %d", n, c.Layers)
	}
	if c.FullLayers = min(c.FullLayers, c.Layers); c.Window == 0 || c.FullLayers == c.Layers {
		c.Window, c.FullLayers = 0, 0
	}
	return nil
}

// writeFamily writes config.json of a family: the one that the model was read from, byte for byte but for another type
// of its weights, if it describes this model.
func writeFamily(w io.Writer, info GPTInfo) error {
	if len(info.Source) > 0 {
		if of, err := parseFamily(info.Source, info.Config.Family); err == nil && sameModel(of.Config, info.Config) {
			_, err := w.Write(withType(info.Source, torchType(info.DType)))
			if err != nil {
				err = fmt.Errorf("convert: config.json: %w", err)
			}
			return err
		}
	}
	c := info.Config
	head, keys, eps := c.HeadWidth, cmp.Or(c.KVHeads, c.Heads), c.Epsilon()
	facts := families[c.Family]
	j := familyJSON{Architectures: []string{facts.architecture}, ModelType: string(c.Family), Vocab: c.Vocab, Width: c.Width, MLP: c.MLPWidth(),
		Layers: c.Layers, Heads: c.Heads, KVHeads: &keys, Activation: "silu", Context: c.Context, Deviation: 0.02, Eps: &eps, Theta: &c.Rope.Theta,
		AttentionBias: c.AttentionBias, MLPBias: c.MLPBias, Dropout: c.AttentionDropout, Tied: !c.Untied, End: info.StopIDs(), TorchType: torchType(info.DType)}
	if facts.head > 0 && head == 0 {
		head = c.Width / c.Heads
	}
	if head > 0 {
		j.HeadWidth = &head
	}
	if info.Begin != nil {
		j.Begin = tokenIDs{*info.Begin}
	}
	if r := c.Rope; r.Kind != "" {
		if r.Kind == model.RopeDynamic { // its context before scaling is the model's
			j.Context, r.OriginalContext = cmp.Or(r.OriginalContext, c.Context), 0
		}
		j.Scaling = &ropeJSON{Type: r.Kind, Factor: float(r.Factor), LowFreq: float(r.LowFreq), HighFreq: float(r.HighFreq), OriginalContext: r.OriginalContext,
			BetaFast: float(r.BetaFast), BetaSlow: float(r.BetaSlow), AttentionFactor: float(r.AttentionFactor), MScale: float(r.MScale), MScaleAllDim: float(r.MScaleAllDim)}
		if r.NoTruncate {
			j.Scaling.Truncate = new(bool)
		}
	}
	if facts.scales {
		j.setScales(c)
	}
	if facts.window {
		j.Window = anyValue("null")
		if c.Window > 0 {
			j.Window = anyValue(fmt.Sprint(c.Window))
		}
	}
	if windowed := c.Window > 0; facts.windowIfUsed {
		j.UseWindow, j.FullLayers = &windowed, &c.FullLayers
		if !windowed {
			j.FullLayers = &c.Layers
		}
	}
	return writeJSON(w, "config.json", withOthers{j, info.Others})
}

// sameModel reports whether two configurations are one model: dropout is how it learns, and the type of its weights in
// memory changes nothing.
func sameModel(a, b model.GPTConfig) bool {
	a.Weights = b.Weights
	a.EmbeddingDropout, a.AttentionDropout, a.ResidualDropout = b.EmbeddingDropout, b.AttentionDropout, b.ResidualDropout
	return a == b
}

// weightType is the key of the weights' type in a config.json: torch_dtype, or dtype from transformers 5 on.
var weightType = regexp.MustCompile(`("(?:torch_)?dtype"\s*:\s*)"([^"]*)"`)

// StoredType is the type of the weights by the config.json that i was read from; zero if that does not say it.
func (i GPTInfo) StoredType() safetensors.DType {
	if m := weightType.FindSubmatch(i.Source); m != nil {
		for _, d := range []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16} {
			if torchType(d) == string(m[2]) {
				return d
			}
		}
	}
	return 0
}

// withType is the text of a config.json with another type of weights.
func withType(text []byte, name string) []byte {
	return weightType.ReplaceAll(text, []byte(`${1}"`+name+`"`))
}
