package model_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
)

// BenchmarkNext writes a text of 240 tokens after 16, token by token, with models of the shapes of GPT-2 and of
// SmolLM2-135M, and of it with weights in BF16. It reports tokens a second, and the bytes of weights that a token reads
// over the time of the fastest one: decoding is bound by memory.
func BenchmarkNext(b *testing.B) {
	for _, of := range []struct {
		name    string
		weights model.WeightType
	}{{"gpt2", model.WeightsF32}, {"smollm2-135m", model.WeightsF32}, {"smollm2-135m", model.WeightsBF16}} {
		c, err := model.GPTPreset(of.name)
		if err != nil {
			b.Fatal(err)
		}
		c.Weights = of.weights
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%s/threads=%d", of.name, of.weights, threads), func(b *testing.B) { benchNext(b, c, threads) })
		}
	}
}

func benchNext(b *testing.B, c model.GPTConfig, threads int) {
	const positions = 256
	prompt, logits := make([]int32, 16), make([]float32, c.Vocab)
	begin := func(be backend.Backend) (m *model.GPT, d *model.GPTDecoding) {
		m, err := model.NewGPT(be, c, bdia.DefaultOptions())
		if err != nil {
			b.Fatal(err)
		}
		if d, err = m.Decode(1, positions, bdia.NoGrid); err == nil {
			err = d.Prefill(logits, prompt)
		}
		if err == nil {
			err = d.Next(logits, prompt[:1])
		}
		if err != nil {
			b.Fatal(err)
		}
		return m, d
	}
	planned := plan.New(cpu.ScratchBytes(threads))
	begin(planned)
	be, err := cpu.New(cpu.Options{Threads: threads, ArenaBytes: planned.Peak().Total})
	if err != nil {
		b.Fatal(err)
	}
	defer be.Close()
	m, d := begin(be)
	bytes := 0
	for _, p := range m.Params() {
		host := make([]float32, p.Value.Len())
		for i := range host {
			host[i] = float32(i%89-44) / 1000
		}
		be.Upload(p.Value, host)
		bytes += int(p.Value.Bytes())
	}
	b.ReportAllocs()
	best, tokens, spent := time.Hour, 0, time.Duration(0)
	for b.Loop() {
		if d.At(0) == positions {
			if err := d.Prefill(nil, prompt); err != nil {
				b.Fatal(err)
			}
		}
		began := time.Now()
		if err := d.Next(logits, prompt[:1]); err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		best, tokens, spent = min(best, took), tokens+1, spent+took
	}
	b.ReportMetric(float64(tokens)/spent.Seconds(), "tokens/s")
	b.ReportMetric(float64(bytes)/float64(best.Nanoseconds()), "GB/s")
}
