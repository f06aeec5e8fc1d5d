package convert

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

func tinySeq2Seq() Seq2SeqInfo {
	return Seq2SeqInfo{Config: model.Seq2SeqConfig{SourceVocab: 12, TargetVocab: 14, SourceContext: 6, TargetContext: 5, EncoderLayers: 2, DecoderLayers: 3,
		Heads: 2, Width: 8, MLP: 20, Untied: true, Sinusoidal: true, NoBias: true, GELU: backend.GELUErf, Eps: 1e-6,
		EmbeddingDropout: 0.1, AttentionDropout: 0.2, ResidualDropout: 0.3, LabelSmoothing: 0.05},
		SourceEnd: 10, SourcePad: 11, Begin: 11, End: 12, Pad: 13}
}

func seq2SeqText(t *testing.T, info Seq2SeqInfo) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSeq2SeqConfig(&b, info); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSeq2SeqConfig(t *testing.T) {
	t.Parallel()
	preset, err := model.Seq2SeqPreset("tiny")
	if err != nil {
		t.Fatal(err)
	}
	preset.Eps = 1e-5 // as written
	for _, want := range []Seq2SeqInfo{tinySeq2Seq(), {Config: preset, End: 1}} {
		path := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(path, []byte(seq2SeqText(t, want)), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSeq2SeqConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("config (-written +read):\n%s", d)
		}
	}
	text := seq2SeqText(t, tinySeq2Seq())
	for _, c := range []struct{ old, new, say string }{
		{`"bdia-seq2seq"`, `"gpt2"`, "it is a language model"},
		{`"bdia-seq2seq"`, `"t5"`, `"t5"; bdia-seq2seq is supported`},
		{`"attention_heads": 2`, `"attention_heads": 3`, "not divisible by 3"},
		{`"eos_token_id": 12`, `"eos_token_id": 14`, "eos_token_id is 14"},
		{`"source_pad_token_id": 11`, `"source_pad_token_id": -1`, "source_pad_token_id is -1"},
		{`"activation_function": "gelu"`, `"activation_function": "relu"`, "relu"},
		{`"decoder_layers": 3`, `"decoder_layers": 1e9`, "decoder"},
		{`"d_model": 8`, `"d_model": "wide"`, `d_model is the text "wide"`},
	} {
		if !strings.Contains(text, c.old) {
			t.Fatalf("no %s in %s", c.old, text)
		}
		if _, err := parseSeq2SeqConfig([]byte(strings.Replace(text, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one of %q", c.new, err, c.say)
		}
	}
}

// FuzzSeq2SeqConfig: what is read is a valid model, and is written as it was read.
func FuzzSeq2SeqConfig(f *testing.F) {
	var b bytes.Buffer
	if err := WriteSeq2SeqConfig(&b, tinySeq2Seq()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"model_type": "bdia-seq2seq"}`))
	for _, text := range testkit.Longer(b.Bytes()) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		info, err := parseSeq2SeqConfig(text)
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		if err := info.Config.Validate(); err != nil {
			t.Fatalf("read a model that cannot be: %v", err)
		}
		again, err := parseSeq2SeqConfig([]byte(seq2SeqText(t, info)))
		info.Config.Eps, info.Config.MLP = info.Config.Epsilon(), info.Config.MLPWidth() // zeros stand for these
		if err != nil || again != info {
			t.Fatalf("%+v is written as %+v: %v", info, again, err)
		}
	})
}

// TestSeq2SeqWeights: weights are read as they were written, and of no other model.
func TestSeq2SeqWeights(t *testing.T) {
	t.Parallel()
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: 1 << 22})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	create := func(change func(*model.Seq2SeqConfig)) *model.Seq2Seq {
		c := tinySeq2Seq().Config
		change(&c)
		m, err := model.NewSeq2Seq(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	same := func(*model.Seq2SeqConfig) {}
	m, n := create(same), create(same)
	m.Init(3)
	n.Init(4)
	path := filepath.Join(t.TempDir(), "model.safetensors")
	w, err := os.Create(path)
	if err == nil {
		err = WriteSeq2Seq(w, be, m)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := ReadSeq2Seq(be, n, f); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		a, b := make([]float32, p.Value.Len()), make([]float32, p.Value.Len())
		be.Download(a, p.Value)
		be.Download(b, n.Params()[i].Value)
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("%s differs", p.Name)
		}
	}
	for say, change := range map[string]func(*model.Seq2SeqConfig){
		"dec.blocks.2.":       func(c *model.Seq2SeqConfig) { c.DecoderLayers = 2 },
		"is missing":          func(c *model.Seq2SeqConfig) { c.EncoderLayers = 3 },
		"shape":               func(c *model.Seq2SeqConfig) { c.TargetVocab = 15 },
		"none of the model":   func(c *model.Seq2SeqConfig) { c.Untied = false },
		"enc.wpe.weight is":   func(c *model.Seq2SeqConfig) { c.Sinusoidal = false },
		"ln1.bias is missing": func(c *model.Seq2SeqConfig) { c.NoBias = false },
	} {
		if err := ReadSeq2Seq(be, create(change), f); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), say) {
			t.Errorf("error %v, want one of %q", err, say)
		}
	}
}
