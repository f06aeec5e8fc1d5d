package convert

import (
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// familyModels are models of every family, and of what a family's may have. Their vocabularies are set by the tests.
var familyModels = []struct {
	name string
	c    model.GPTConfig
}{
	{"llama", model.GPTConfig{Family: model.Llama, Context: 144, Layers: 3, Heads: 4, KVHeads: 2, Width: 64, MLP: 96, Rope: model.Rope{Theta: 1e4}}},
	{"llama, as Llama 3.2", model.GPTConfig{Family: model.Llama, Context: 144, Layers: 2, Heads: 8, KVHeads: 2, Width: 64, MLP: 96, HeadWidth: 16, Eps: 1e-6,
		Rope: model.Rope{Theta: 5e5, Kind: model.RopeLlama3, Factor: 8, LowFreq: 1, HighFreq: 4, OriginalContext: 64}}},
	{"llama, with biases, linear", model.GPTConfig{Family: model.Llama, Context: 144, Layers: 2, Heads: 4, Width: 64, MLP: 96, Untied: true, AttentionBias: true, MLPBias: true,
		Rope: model.Rope{Theta: 1e4, Kind: model.RopeLinear, Factor: 4}}},
	{"mistral", model.GPTConfig{Family: model.Mistral, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, HeadWidth: 32, Width: 64, MLP: 96, Untied: true, Rope: model.Rope{Theta: 1e6}}},
	{"qwen2", model.GPTConfig{Family: model.Qwen2, Context: 144, Layers: 2, Heads: 4, KVHeads: 1, Width: 64, MLP: 96, Eps: 1e-6, Rope: model.Rope{Theta: 1e6}}},
	{"qwen2, by yarn", model.GPTConfig{Family: model.Qwen2, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, Width: 64, MLP: 96, Untied: true, Eps: 1e-6,
		Rope: model.Rope{Theta: 1e6, Kind: model.RopeYarn, Factor: 4, OriginalContext: 36, BetaFast: 32, BetaSlow: 1}}},
	{"qwen3", model.GPTConfig{Family: model.Qwen3, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, HeadWidth: 32, Width: 64, MLP: 96, Eps: 1e-6, Rope: model.Rope{Theta: 1e6}}},
	{"qwen3, by yarn of its own", model.GPTConfig{Family: model.Qwen3, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, HeadWidth: 32, Width: 64, MLP: 96, Eps: 1e-6,
		Rope: model.Rope{Theta: 1e4, Kind: model.RopeYarn, Factor: 2, OriginalContext: 72, BetaFast: 32, BetaSlow: 1, AttentionFactor: 1.5}}},
	{"granite", model.GPTConfig{Family: model.Granite, Context: 144, Layers: 3, Heads: 4, KVHeads: 2, Width: 64, MLP: 96, Eps: 1e-5, AttentionBias: true, MLPBias: true,
		Rope:           model.Rope{Theta: 5e5, Kind: model.RopeLlama3, Factor: 8, LowFreq: 1, HighFreq: 4, OriginalContext: 64},
		EmbeddingScale: 2, AttentionScale: 0.4, BranchScale: 0.7, LogitsDivisor: 0.6}},
	{"granite, wide heads", model.GPTConfig{Family: model.Granite, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, HeadWidth: 32, Width: 64, MLP: 96, Untied: true, AttentionBias: true, Eps: 1e-5,
		Rope: model.Rope{Theta: 1e6}}},
	{"olmo2", model.GPTConfig{Family: model.OLMo2, Context: 144, Layers: 3, Heads: 4, KVHeads: 2, Width: 64, MLP: 96, Untied: true, Eps: 1e-6, Rope: model.Rope{Theta: 5e5}}},
	{"olmo2, tied, by yarn", model.GPTConfig{Family: model.OLMo2, Context: 144, Layers: 2, Heads: 4, Width: 64, MLP: 96, Eps: 1e-6,
		Rope: model.Rope{Theta: 1e4, Kind: model.RopeYarn, Factor: 4, OriginalContext: 36, BetaFast: 32, BetaSlow: 1}}},
}

// pipelined returns the tokens and merges of a BPE in another pipeline.
func pipelined(t testing.TB, of *tokenizer.BPE, parts map[string]string) *tokenizer.BPE {
	t.Helper()
	dir := t.TempDir()
	testkit.OK(t, of.Save(dir))
	end, _ := of.EndOfText()
	testkit.Repipe(t, dir, end, parts)
	return load(t, dir)
}

func load(t testing.TB, dir string) *tokenizer.BPE {
	t.Helper()
	tok, err := tokenizer.Load(dir)
	testkit.OK(t, err)
	return tok.(*tokenizer.BPE)
}

// pieces returns a tokenizer after SentencePiece (see testkit.Pieces).
func pieces(t testing.TB, metaspace string, tokens ...string) *tokenizer.BPE {
	t.Helper()
	return load(t, testkit.Pieces(t, metaspace, tokens...))
}
