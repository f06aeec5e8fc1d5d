//go:build clients

package convert

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

const speedTokens, speedRounds = 24, 3

// TestClientLlamaSpeed times tokens of models of published shapes in float32, in turns with llama.cpp on the same file
// and with as many threads, BDIA_SPEED. It takes 2 GB of memory, so without that it is skipped. Machines differ: it
// tells the ratio and demands nothing. On a machine with other work, one thread says more: llama.cpp's wait for each
// other.
func TestClientLlamaSpeed(t *testing.T) {
	testkit.Clients(t)
	threads, err := strconv.Atoi(os.Getenv("BDIA_SPEED"))
	if err != nil {
		t.Skip("BDIA_SPEED is no number of threads")
	}
	text, err := os.ReadFile(filepath.Join("..", "LICENSE"))
	testkit.OK(t, err)
	tok, err := tokenizer.TrainBPE(t.Context(), bytes.NewReader(text), tokenizer.TrainOptions{VocabSize: 400})
	testkit.OK(t, err)
	for _, name := range []string{"gpt2", "smollm2-135m"} {
		c, err := model.GPTPreset(name)
		testkit.OK(t, err)
		planned := plan.New(cpu.ScratchBytes(threads))
		m, err := model.NewGPT(planned, c, bdia.DefaultOptions())
		testkit.OK(t, err)
		decoded(t, m)
		be, err := cpu.New(cpu.Options{Threads: threads, ArenaBytes: planned.Peak().Total})
		testkit.OK(t, err)
		m, err = model.NewGPT(be, c, bdia.DefaultOptions())
		testkit.OK(t, err)
		for _, p := range m.Params() {
			host := make([]float32, p.Value.Len())
			for i := range host {
				host[i] = float32(i%89-44) / 1000
			}
			be.Upload(p.Value, host)
		}
		file := filepath.Join(t.TempDir(), "model.gguf")
		out, err := os.Create(file)
		testkit.OK(t, err)
		_, err = WriteGGUF(out, be, m, GGUFOptions{Name: name, Type: gguf.F32, Tokenizer: tok})
		testkit.OK(t, err)
		testkit.OK(t, out.Close())
		var ours, theirs, ratios []float64
		for range speedRounds {
			var answer struct{ Seconds []float64 }
			testkit.Node(t, filepath.Join("testdata", "llama_speed.mjs"),
				map[string]any{"file": file, "threads": threads, "prompt": make([]int32, 16), "tokens": speedTokens}, &answer)
			mine := decoded(t, m)
			ratios = append(ratios, median(answer.Seconds)/median(mine))
			ours, theirs = append(ours, mine...), append(theirs, answer.Seconds...)
		}
		t.Logf("%s: %.1f tokens/s, llama.cpp %.1f; ratio of medians %.2f, by rounds %.2f; of the fastest tokens %.2f",
			name, 1/median(ours), 1/median(theirs), median(theirs)/median(ours), ratios, slices.Min(theirs)/slices.Min(ours))
		be.Close()
		testkit.OK(t, os.Remove(file))
	}
}

// decoded returns the seconds of each token of a text.
func decoded(t *testing.T, m *model.GPT) (seconds []float64) {
	t.Helper()
	prompt, logits := make([]int32, 16), make([]float32, m.Config.Vocab)
	d, err := m.Decode(1, 256, bdia.NoGrid)
	testkit.OK(t, err)
	defer d.Close()
	testkit.OK(t, d.Prefill(logits, prompt))
	for range speedTokens {
		began := time.Now()
		testkit.OK(t, d.Next(logits, prompt[:1]))
		seconds = append(seconds, time.Since(began).Seconds())
	}
	return seconds
}

func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[len(sorted)/2]
}
