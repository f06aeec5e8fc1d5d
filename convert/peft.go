package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// Names of PEFT's files in a folder of adapters.
const (
	AdapterConfigFile = "adapter_config.json"
	AdapterFile       = "adapter_model.safetensors"
	adapterPickle     = "adapter_model.bin" // not read
)

// AdapterConfig is the content of PEFT's adapter_config.json for LoRA on a GPT-2.
type AdapterConfig struct {
	LoRA   model.LoRAConfig
	Frozen int    // number of first blocks without adapters
	Blocks int    // blocks of the model, if the file lists the blocks with adapters; else 0
	Base   string // name or folder of the base model

	Family model.Targets // of LoRA, if the model is of a family: an expression for names can mean layers of both kinds
}

// peftLayer is a layer that model.LoRAConfig can name, and the end of its path in PEFT's names.
type peftLayer struct{ target, module string }

// peftModules are GPT-2's layers. A bare c_proj would mean both attention's and the MLP's.
var peftModules = []peftLayer{
	{"qkv", "attn.c_attn"}, {"proj", "attn.c_proj"}, {"fc1", "mlp.c_fc"}, {"fc2", "mlp.c_proj"},
}

// peftFamily are the layers of a family.
var peftFamily = []peftLayer{
	{"q_proj", "self_attn.q_proj"}, {"k_proj", "self_attn.k_proj"}, {"v_proj", "self_attn.v_proj"}, {"o_proj", "self_attn.o_proj"},
	{"gate_proj", "mlp.gate_proj"}, {"up_proj", "mlp.up_proj"}, {"down_proj", "mlp.down_proj"},
}

// peftModule is what target_modules calls a layer. Names of a family's layers need no path.
func (l peftLayer) peftModule(c model.GPTConfig) string {
	if c.Family != model.GPT2 {
		return l.target
	}
	return l.module
}

// peftLayers lists the layers of a model.
func peftLayers(c model.GPTConfig) []peftLayer {
	if c.Family != model.GPT2 {
		return peftFamily
	}
	return peftModules
}

// peftJSON is adapter_config.json. PEFT has defaults for missing keys.
type peftJSON struct {
	PEFT         string    `json:"peft_type"`
	Task         string    `json:"task_type"`
	Base         string    `json:"base_model_name_or_path"`
	Rank         int       `json:"r"`
	Alpha        float64   `json:"lora_alpha"`
	Dropout      float64   `json:"lora_dropout"`
	Modules      anyValue  `json:"target_modules"`
	Layers       layerList `json:"layers_to_transform"`
	Bias         string    `json:"bias"`
	Transposed   bool      `json:"fan_in_fan_out"` // the base weights are transposed, as in Conv1D
	Inference    bool      `json:"inference_mode"`
	Init         anyValue  `json:"init_lora_weights"`
	RankScaled   bool      `json:"use_rslora"`
	Decomposed   bool      `json:"use_dora"`
	AdapterBias  bool      `json:"lora_bias,omitempty"`
	Saved        anyValue  `json:"modules_to_save"`
	Excluded     anyValue  `json:"exclude_modules,omitempty"`
	Replicated   anyValue  `json:"layer_replication,omitempty"`
	Parameters   anyValue  `json:"target_parameters,omitempty"`
	Tokens       anyValue  `json:"trainable_token_indices,omitempty"`
	RankPattern  anyValue  `json:"rank_pattern"`
	AlphaPattern anyValue  `json:"alpha_pattern"`
}

// layerList is a list of layers, or one of them.
type layerList []int

// UnmarshalJSON reads a number or a list.
func (l *layerList) UnmarshalJSON(text []byte) error {
	if text[0] == '[' || string(text) == "null" {
		return jsonfile.Unmarshal(text, (*[]int)(l))
	}
	*l = make(layerList, 1)
	return jsonfile.Unmarshal(text, &(*l)[0])
}

// anyValue is JSON that is decoded later.
type anyValue = json.RawMessage

// variant returns the first setting in j that is not plain LoRA, or "".
func (j peftJSON) variant() string {
	switch {
	case j.Bias != "none" && j.Bias != "":
		return fmt.Sprintf("bias is %.20q", j.Bias)
	case j.RankScaled:
		return "use_rslora is true"
	case j.Decomposed:
		return "use_dora is true"
	case j.AdapterBias:
		return "lora_bias is true"
	}
	for _, v := range []struct {
		key   string
		value anyValue
	}{{"modules_to_save", j.Saved}, {"exclude_modules", j.Excluded}, {"layer_replication", j.Replicated}, {"target_parameters", j.Parameters}, {"trainable_token_indices", j.Tokens},
		{"rank_pattern", j.RankPattern}, {"alpha_pattern", j.AlphaPattern}} {
		if !slices.Contains([]string{"", "null", "[]", "{}"}, string(v.value)) {
			var short bytes.Buffer
			json.Compact(&short, v.value) // which is JSON
			return fmt.Sprintf("%s is %.80s", v.key, short.String())
		}
	}
	return ""
}

// WriteAdapterConfig writes the adapter_config.json of m's adapters. base is the
// name of the base model.
func WriteAdapterConfig(w io.Writer, m *model.GPT, base string) error {
	if m.LoRA.Rank == 0 {
		return fmt.Errorf("convert: %s: the model has no adapters", AdapterConfigFile)
	}
	var modules []string
	for _, p := range peftLayers(m.Config) {
		if slices.Contains(m.LoRA.Targets.Layers(m.Config), p.target) {
			modules = append(modules, p.peftModule(m.Config))
		}
	}
	list, err := json.Marshal(modules)
	if err != nil {
		return fmt.Errorf("convert: %s: %w", AdapterConfigFile, err)
	}
	j := peftJSON{PEFT: "LORA", Task: "CAUSAL_LM", Base: base, Rank: m.LoRA.Rank, Alpha: m.LoRA.Alpha, Dropout: m.LoRA.Dropout, Modules: list,
		Bias: "none", Transposed: m.Config.Family == model.GPT2, Inference: true, Init: anyValue("true"), Saved: anyValue("null"), RankPattern: anyValue("{}"), AlphaPattern: anyValue("{}")}
	for k := m.FrozenBlocks(); k > 0 && k < m.Config.Layers; k++ {
		j.Layers = append(j.Layers, k)
	}
	return writeJSON(w, AdapterConfigFile, j)
}

// ReadAdapterConfig reads the adapter_config.json at path.
func ReadAdapterConfig(path string) (AdapterConfig, error) {
	text, err := textfile.ReadFile(path, maxConfig)
	if err != nil {
		return AdapterConfig{}, fmt.Errorf("convert: %w", err)
	}
	c, err := parseAdapterConfig(text)
	if err != nil {
		return AdapterConfig{}, fmt.Errorf("convert: %s: %w", path, err)
	}
	return c, nil
}

// parseAdapterConfig reads the text of an adapter_config.json.
func parseAdapterConfig(text []byte) (c AdapterConfig, err error) {
	var j peftJSON
	if err := jsonfile.Decode(text, &j); err != nil {
		return c, err
	}
	if j.PEFT != "LORA" {
		return c, fmt.Errorf("%w: peft_type is %.40q; LORA is supported", ErrUnsupported, j.PEFT)
	}
	if v := j.variant(); v != "" {
		return c, fmt.Errorf("%w: %s; only plain LoRA is supported: merge these adapters into their model with PEFT (merge_and_unload) and save that", ErrUnsupported, v)
	}
	targets, family, err := loraTargets(j.Modules)
	if err != nil {
		return c, err
	}
	if len(targets) == 0 {
		targets = family
	}
	c = AdapterConfig{Base: j.Base, Family: family, LoRA: model.LoRAConfig{Rank: j.Rank, Alpha: j.Alpha, Dropout: j.Dropout, Targets: targets}}
	for i, k := range j.Layers {
		if k < 0 || k != j.Layers[0]+i {
			return c, fmt.Errorf("%w: layers_to_transform has layer %d at place %d; layers from one on to the last are supported", ErrUnsupported, k, i)
		}
		c.Frozen, c.Blocks = j.Layers[0], k+1
	}
	return c, c.LoRA.Validate()
}

// loraTargets returns the layers that target_modules lists, of a GPT-2 and of a family. As in PEFT, a name
// means every module with a path that ends in it: "c_attn" means
// transformer.h.0.attn.c_attn and so on.
func loraTargets(text anyValue) (targets, family model.Targets, err error) {
	var names []string
	var pattern string
	switch {
	case len(text) > 0 && text[0] == '"' && jsonfile.Unmarshal(text, &pattern) == nil:
		if names, err = modulesLike(pattern); err != nil {
			return nil, nil, err
		}
	case len(text) == 0 || jsonfile.Unmarshal(text, &names) != nil || len(names) == 0:
		return nil, nil, fmt.Errorf("%w: target_modules is %.60q; a list of names, a regular expression or all-linear is supported", ErrUnsupported, text)
	}
	known := map[string]bool{}
	find := func(layers []peftLayer) (found model.Targets) {
		for _, l := range layers {
			of := func(name string) bool { return strings.HasSuffix("."+l.module, "."+name) }
			if slices.ContainsFunc(names, of) {
				found = append(found, l.target)
			}
			for _, name := range names {
				known[name] = known[name] || of(name)
			}
		}
		return found
	}
	targets, family = find(peftModules), find(peftFamily)
	for _, name := range names {
		if !known[name] {
			return nil, nil, fmt.Errorf("%w: target_modules has %.40q; attn.c_attn, attn.c_proj, mlp.c_fc and mlp.c_proj are supported, and q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj", ErrUnsupported, name)
		}
	}
	return targets, family, nil
}

// modulesLike returns the modules of a block that a target_modules matches which is a text: a regular expression for
// whole paths of modules, or "all-linear". An expression that tells blocks apart is ErrUnsupported.
func modulesLike(pattern string) (names []string, err error) {
	all := pattern == "all-linear"
	whole, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil && !all {
		return nil, fmt.Errorf("%w: target_modules is %.60q, which is no regular expression that is known here; write a list of names", ErrUnsupported, pattern)
	}
	const blocks = 64 // more than any GPT-2
	for i, p := range slices.Concat(peftModules, peftFamily) {
		matched, path := 0, gpt2Prefix+"h.%d.%s"
		if i >= len(peftModules) {
			path = familyPrefix + "layers.%d.%s"
		}
		for k := range blocks {
			if all || whole.MatchString(fmt.Sprintf(path, k, p.module)) {
				matched++
			}
		}
		switch matched {
		case 0:
		case blocks:
			names = append(names, p.module)
		default:
			return nil, fmt.Errorf("%w: target_modules is %.60q, which is other layers in some blocks than in others", ErrUnsupported, pattern)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: target_modules is %.60q, which is none of attn.c_attn, attn.c_proj, mlp.c_fc and mlp.c_proj, and none of a family's layers, q_proj for example", ErrUnsupported, pattern)
	}
	return names, nil
}

// WriteAdapter writes m's adapters as PEFT's adapter_model.safetensors.
func WriteAdapter(w io.Writer, be backend.Backend, m *model.GPT) error {
	params := m.Adapters()
	if len(params) == 0 {
		return fmt.Errorf("convert: the model has no adapters to write")
	}
	parts := make([]part, len(params))
	for i, p := range params {
		parts[i] = part{name: peftName(m.Config, peftPrefixOf(m.Config), p), shape: p.Value.Shape.Dims(), src: p.Value}
	}
	return Form{}.write(w, be, parts)
}

// ReadAdapter loads m's adapters from the tensors of PEFT's
// adapter_model.safetensors. A missing, misshapen or unknown tensor is
// ErrMismatch. Embeddings and head, which PEFT stores with adapters at times, are
// not loaded: see CheckSaved.
func ReadAdapter(be backend.Backend, m *model.GPT, in Tensors) error {
	f, err := bare(in)
	if err != nil {
		return err
	}
	prefix := peftPrefix
	if !slices.ContainsFunc(f.Names(), func(name string) bool { return strings.HasPrefix(name, prefix) }) {
		prefix = peftBarePrefix
	}
	hint := fmt.Sprintf("the adapter of a %s of %d blocks", namesOf(m.Config).what, m.Config.Layers)
	known := make(map[string]bool, len(m.Adapters()))
	for _, p := range m.Adapters() {
		name := peftName(m.Config, prefix, p)
		known[name] = true
		if err := fits(f, name, p.Value.Shape.Dims(), hint); err != nil {
			return err
		}
	}
	for _, name := range f.Names() {
		if !known[name] && savedName(name) == "" {
			return fmt.Errorf("convert: %w: tensor %.80q belongs to no adapter of the configuration", ErrMismatch, name)
		}
	}
	mover := NewMover(be)
	for _, p := range m.Adapters() {
		if err := mover.Read(p.Value, f, peftName(m.Config, prefix, p), 0); err != nil {
			return err
		}
	}
	return nil
}

// Prefixes of PEFT's names, for a language model and for a model without a head.
const (
	peftPrefix     = peftBarePrefix + gpt2Prefix
	peftBarePrefix = "base_model.model."
)

// peftPrefixOf is the prefix in the file that is written for a model.
func peftPrefixOf(c model.GPTConfig) string {
	if c.Family != model.GPT2 {
		return peftBarePrefix + familyPrefix
	}
	return peftPrefix
}

// peftName returns PEFT's name of an adapter's parameter. The layouts are the
// same.
func peftName(c model.GPTConfig, prefix string, p *tensor.Param) string {
	name := gpt2Names.Replace(p.Name)
	if c.Family != model.GPT2 {
		name = familyName(c, p.Name)
	}
	if base, ok := strings.CutSuffix(name, ".lora_a"); ok {
		return prefix + base + ".lora_A.weight"
	}
	base, _ := strings.CutSuffix(name, ".lora_b")
	return prefix + base + ".lora_B.weight"
}

// AddAdapter adds the adapters in PEFT's folder dir to m, which must have none.
func AddAdapter(be backend.Backend, m *model.GPT, dir string) error {
	c, err := ReadAdapterConfig(filepath.Join(dir, AdapterConfigFile))
	if err != nil {
		return err
	}
	if c.Blocks > 0 && c.Blocks != m.Config.Layers {
		return fmt.Errorf("convert: %s: %w: layers_to_transform ends with block %d of %d; layers from one on to the last are supported",
			filepath.Join(dir, AdapterConfigFile), ErrUnsupported, c.Blocks-1, m.Config.Layers)
	}
	if m.Config.Family != model.GPT2 {
		c.LoRA.Targets = c.Family
	}
	if c.Frozen > 0 {
		err = m.Freeze(c.Frozen)
	}
	if err == nil {
		err = m.AddLoRA(c.LoRA)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return LoadAdapter(be, m, dir)
}

// LoadAdapter fills m's adapters from PEFT's folder dir.
func LoadAdapter(be backend.Backend, m *model.GPT, dir string) error {
	f, err := safetensors.Open(filepath.Join(dir, AdapterFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, adapterPickle)); err == nil {
			return fmt.Errorf("convert: %s: %w: its weights are in %s, and only safetensors are read; load it with PEFT and save it again with save_pretrained",
				dir, ErrUnsupported, adapterPickle)
		}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := ReadAdapter(be, m, f); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}
