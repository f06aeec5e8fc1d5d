package hub_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
)

// TestAdaptersBeside: adapters of a model in BF16 stay beside it, in half the memory, and so do those of any model on a
// device of bfloat16 products. They give the bits that a run computed which trained them: with weights in float32 and
// adapters that are not merged. In float32 they are merged.
func TestAdaptersBeside(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		family model.Family
		stored safetensors.DType
		device backend.Precision
		held   model.WeightType
	}{
		{model.GPT2, safetensors.BF16, backend.Float32, model.WeightsBF16},
		{model.Qwen3, safetensors.BF16, backend.Float32, model.WeightsBF16},
		{model.GPT2, safetensors.F16, backend.BFloat16, model.WeightsF32},
		{model.Qwen3, safetensors.BF16, backend.BFloat16, model.WeightsBF16},
	} {
		family, one := tc.family, backend.Options{Threads: 1, Precision: tc.device}
		base := traintest.HalfFolder(t, family, tc.stored)
		c := mustOpen(t, base, hub.Options{}).GPTInfo.Config
		batch := model.NewBatch(2, 16)
		for i := range batch.Inputs {
			batch.Inputs[i] = int32(i * 7 % c.Vocab)
		}
		want := make([]float32, len(batch.Inputs)*c.Vocab)
		dir := t.TempDir()
		var m *model.GPT
		be, err := backend.Fit(one, func(be backend.Backend) (err error) {
			if m, err = model.NewGPT(be, c, bdia.Options{Memory: bdia.Store, Grid: 9}); err != nil {
				return err
			}
			return m.AddLoRA(model.LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.1, Targets: model.Targets{"all"}})
		}, func() error { return m.Logits(want, batch, 9) })
		testkit.OK(t, err)
		defer be.Close()
		testkit.OK(t, hub.LoadGPT(be, m, base))
		for i, p := range m.Adapters() {
			nn.Normal(be, p, 0.1, 3, i)
		}
		testkit.OK(t, m.Logits(want, batch, 9))
		written(t, filepath.Join(dir, convert.AdapterConfigFile), func(w io.Writer) error { return convert.WriteAdapterConfig(w, m, base) })
		written(t, filepath.Join(dir, convert.AdapterFile), func(w io.Writer) error { return convert.WriteAdapter(w, be, m) })

		f := mustOpen(t, base, hub.Options{Adapter: dir})
		o := generate.DefaultOptions()
		o.MaxTokens, o.Grid = 12, f.Grid
		got := make([]float32, len(want))
		held, err := f.GPT(one, func(m *model.GPT) error { return m.Logits(got, batch, 9) },
			func(m *model.GPT) error { return generate.Rehearse(m, 4, o) },
			func(m *model.GPT) error { o := o; o.NoCache = true; return generate.Rehearse(m, 4, o) })
		testkit.OK(t, err)
		defer held.Close()
		testkit.OK(t, held.Logits(got, batch, 9))
		testkit.EqualBits(t, family.String(), got, want)
		if held.Config.Weights != tc.held || held.LoRA.Rank != 3 {
			t.Errorf("%v: weights are %s, with adapters of rank %d", family, held.Config.Weights, held.LoRA.Rank)
		}
		var texts [2][]int32
		for i := range texts {
			o.NoCache = i == 1
			testkit.OK(t, generate.Tokens(held.GPT, batch.Inputs[:4], o, func(id int32) bool { texts[i] = append(texts[i], id); return true }))
		}
		if !slices.Equal(texts[0], texts[1]) {
			t.Errorf("%v: with the cache %v, without %v", family, texts[0], texts[1])
		}
		if err := held.Save(t.TempDir()); !errors.Is(err, hub.ErrAdapters) {
			t.Errorf("%v: saved beside its adapters: %v", family, err)
		}

		merged, err := mustOpen(t, base, hub.Options{Adapter: dir, Float32: true}).GPT(backend.Options{Threads: 1}, func(m *model.GPT) error { return m.Logits(got, batch, 9) })
		testkit.OK(t, err)
		defer merged.Close()
		if merged.LoRA.Rank > 0 {
			t.Errorf("%v: adapters of rank %d beside weights in float32", family, merged.LoRA.Rank)
		}
		testkit.OK(t, merged.Save(filepath.Join(t.TempDir(), "merged")))
	}
}

// written makes the file at path.
func written(t *testing.T, path string, write func(w io.Writer) error) {
	t.Helper()
	f, err := os.Create(path)
	testkit.OK(t, err)
	testkit.OK(t, write(f))
	testkit.OK(t, f.Close())
}
