package model_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
)

// BenchmarkNext reports the tokens a second of writing one text, in GPT-2's and in SmolLM2-135M's shape, and beside it
// GB/s: the bytes of weights that a token reads, in the time of the fastest token.
func BenchmarkNext(b *testing.B) {
	for _, name := range []string{"gpt2", "smollm2-135m"} {
		c, err := model.GPTPreset(name)
		if err != nil {
			b.Fatal(err)
		}
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", name, threads), func(b *testing.B) { benchNext(b, c, threads) })
		}
	}
}

func benchNext(b *testing.B, c model.GPTConfig, threads int) {
	const prompt, positions = 16, 256
	ids := make([]int32, prompt)
	var d *model.GPTDecoding
	planned := plan.New(cpu.ScratchBytes(threads))
	m, err := model.NewGPT(planned, c, bdia.DefaultOptions())
	if err != nil {
		b.Fatal(err)
	}
	logits := make([]float32, c.Vocab)
	if d, err = m.Decode(1, positions, bdia.NoGrid); err == nil {
		err = d.Prefill(logits, ids)
	}
	if err == nil {
		err = d.Next(logits, ids[:1])
	}
	if err != nil {
		b.Fatal(err)
	}
	be, err := cpu.New(cpu.Options{Threads: threads, ArenaBytes: planned.Peak().Total})
	if err != nil {
		b.Fatal(err)
	}
	defer be.Close()
	if m, err = model.NewGPT(be, c, bdia.DefaultOptions()); err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	bytes := 0
	for _, p := range m.Params() {
		{
			bytes += 4 * p.Value.Len()
		}
	}
	if d, err = m.Decode(1, positions, bdia.NoGrid); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	best, tokens, spent := time.Hour, 0, time.Duration(0)
	for b.Loop() {
		if tokens == 0 || d.At(0) == positions {
			b.StopTimer()
			if err := d.Prefill(logits, ids); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		began := time.Now()
		if err := d.Next(logits, ids[:1]); err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		best, tokens, spent = min(best, took), tokens+1, spent+took
	}
	b.ReportMetric(float64(tokens)/spent.Seconds(), "tokens/s")
	b.ReportMetric(float64(bytes)/float64(best.Nanoseconds()), "GB/s")
}
