package convert

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// longText is longer than what an error quotes.
var longText = strings.Repeat("x", 50_000)

// FuzzPreprocessor: whatever is beside config.json, a vision transformer's normalisation is usable or an error.
func FuzzPreprocessor(f *testing.F) {
	f.Add([]byte(`{"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"size":{"height":224,"width":224}}`))
	f.Add([]byte(`{"image_mean":"` + longText + `"}`))
	f.Add([]byte(`{"image_mean":0.5,"image_std":[1e-300],"do_normalize":false}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := ReadViTConfig(testkit.Folder(t, map[string][]byte{"config.json": []byte(hfsOwn), "preprocessor_config.json": text}))
		testkit.Refused(t, err)
		for c := range 3 {
			if err == nil && !(v.Std[c] > 0) {
				t.Errorf("accepted standard deviation %v", v.Std)
			}
		}
	})
}

// FuzzGeneration: generation_config.json and tokenizer_config.json, whatever they hold, are read or an error.
func FuzzGeneration(f *testing.F) {
	f.Add([]byte(`{"eos_token_id":[1,2],"temperature":0.7,"max_length":null}`))
	f.Add([]byte(`{"eos_token_id":"` + longText + `"}`))
	f.Add([]byte(`{"eos_token_id":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		info := GPTInfo{Config: model.GPTConfig{Vocab: 7, Context: 4, Layers: 1, Heads: 1, Width: 4}}
		others, err := ReadOthers(testkit.Folder(t, map[string][]byte{"config.json": []byte(`{}`), "generation_config.json": text}), &info)
		testkit.Refused(t, err)
		for _, value := range others {
			if err == nil && !json.Valid(value) {
				t.Errorf("kept %q, which is no JSON", value)
			}
		}
	})
}

// FuzzShards: whatever the index and a shard hold, tensors are found in them or there is an error.
func FuzzShards(f *testing.F) {
	shard := tensorsOf(f, safetensors.Info{Name: "a", DType: safetensors.F32, Shape: []int{2}})
	f.Add([]byte(`{"weight_map":{"a":"x-00001-of-00001.safetensors"}}`), shard)
	f.Add([]byte(`{"weight_map":{"`+longText+`":"x-00001-of-00001.safetensors"}}`), shard)
	f.Add([]byte(`{"weight_map":{"a":"`+longText+`"}}`), shard)
	f.Add([]byte(`{"weight_map":{"a":"../x","b":"/etc/passwd"}}`), []byte("not tensors"))
	f.Fuzz(func(t *testing.T, index, shard []byte) {
		w, err := OpenWeights(testkit.Folder(t, map[string][]byte{"model.safetensors.index.json": index, "x-00001-of-00001.safetensors": shard}))
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		defer w.Close()
		for _, name := range w.Names() {
			if info, ok := w.Info(name); !ok || info.Elems() > 1<<20 {
				continue
			} else {
				testkit.Refused(t, w.ReadFloat32At(name, make([]float32, info.Elems()), 0))
			}
		}
	})
}

// tensorsOf is a file of tensors of zeros.
func tensorsOf(t testing.TB, infos ...safetensors.Info) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := safetensors.NewWriter(&b, infos, nil)
	for _, info := range infos {
		if err == nil {
			err = w.AppendFloat32(info.Name, make([]float32, info.Elems()))
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzGPT2Weights: whatever the weights and the adapters, a language model gets finite shapes of its own or an error.
func FuzzGPT2Weights(f *testing.F) {
	c := model.GPTConfig{Vocab: 5, Context: 4, Layers: 1, Heads: 1, Width: 4}
	be, m := newModel(f, c)
	var good bytes.Buffer
	if err := WriteGPT(&good, be, m); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes(), []byte(`{}`))
	f.Add(good.Bytes(), []byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["`+longText+`"]}`))
	f.Add(bytes.Replace(good.Bytes(), []byte("wte"), []byte("xte"), 1), []byte(`{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["c_proj"]}`))
	f.Fuzz(func(t *testing.T, weights, adapter []byte) {
		dir := testkit.Folder(t, map[string][]byte{"model.safetensors": weights, "adapter_config.json": adapter, "adapter_model.safetensors": weights})
		w, err := OpenWeights(dir)
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		defer w.Close()
		be, m := newModel(t, c)
		testkit.Refused(t, ReadGPT(be, m, w))
		testkit.Refused(t, AddAdapter(be, m, dir))
	})
}

// FuzzViTWeights: whatever the weights of a vision transformer, of Hugging Face's or timm's names, positions of another
// size and another head, it gets shapes of its own or an error.
func FuzzViTWeights(f *testing.F) {
	be, m := newViT(f, vitConfig())
	var good bytes.Buffer
	if err := WriteViT(&good, be, m); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add(tensorsOf(f, safetensors.Info{Name: "pos_embed", DType: safetensors.F32, Shape: []int{1, 5, 6}},
		safetensors.Info{Name: "vit.embeddings.cls_token", DType: safetensors.F32, Shape: []int{1, 1, 6}}))
	f.Fuzz(func(t *testing.T, weights []byte) {
		w, err := OpenWeights(testkit.Folder(t, map[string][]byte{"model.safetensors": weights}))
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		defer w.Close()
		be, m := newViT(t, vitConfig())
		testkit.Refused(t, ReadViT(be, m, w))
		_, err = AdaptViT(be, m, w)
		testkit.Refused(t, err)
	})
}
