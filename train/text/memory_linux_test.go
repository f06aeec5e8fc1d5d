package text

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// starts is set in a process that starts from a model and tells what memory that took.
const starts = "TEXT_STARTS_FROM"

// TestMain trains from the model of a folder instead of testing, if asked to.
func TestMain(m *testing.M) {
	from, ok := os.LookupEnv(starts)
	if !ok {
		os.Exit(m.Run())
	}
	if err := startFrom(from, os.Args[1], os.Args[2]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// startFrom makes a step, an evaluation and a checkpoint, and prints the largest resident set of the process and what it
// was promised to be.
func startFrom(from, data, dir string) error {
	c := DefaultTuned()
	if err := c.StartFrom(from); err != nil {
		return err
	}
	c.Data.Path, c.Tune.Window, c.Loop.Batch, c.Schedule.Steps, c.Engine.Threads = data, 16, 1, 1, 1
	c.Loop.EvalSamples, c.Loop.TensorBoard, c.Optimizer.StateBits = 1, false, 8
	r, err := train.Create(context.Background(), dir, New(c), nil)
	if err != nil {
		return err
	}
	sum, err := r.Train(context.Background(), nil)
	if err != nil {
		return err
	}
	fmt.Println(testkit.Resident(), sum.Peak.Total+train.HostOf(r.Task).Total())
	return nil
}

// wideFolder writes a Llama of 34 million weights in BF16, in two shards, and returns its folder.
func wideFolder(t *testing.T) string {
	dir := traintest.FamilyFolder(t, model.Llama) // with a tokenizer
	if err := os.Remove(filepath.Join(dir, train.WeightsFile)); err != nil {
		t.Fatal(err)
	}
	c := model.GPTConfig{Family: model.Llama, Vocab: 275, Context: 32, Layers: 2, Heads: 4, Width: 1024, MLP: 4096, Rope: model.Rope{Theta: 1e4}}
	config, err := os.Create(filepath.Join(dir, train.ConfigFile))
	if err == nil {
		err = convert.WriteGPTInfo(config, convert.GPTInfo{Config: c})
	}
	if err != nil {
		t.Fatal(err)
	}
	const C, M = 1024, 4096
	shapes := [2]map[string][]int{{"model.embed_tokens.weight": {275, C}, "model.norm.weight": {C}}, {}}
	for k := range 2 {
		at := fmt.Sprintf("model.layers.%d.", k)
		for _, p := range []string{"q", "k", "v", "o"} {
			shapes[k][at+"self_attn."+p+"_proj.weight"] = []int{C, C}
		}
		shapes[k][at+"mlp.gate_proj.weight"], shapes[k][at+"mlp.up_proj.weight"], shapes[k][at+"mlp.down_proj.weight"] = []int{M, C}, []int{M, C}, []int{C, M}
		shapes[k][at+"input_layernorm.weight"], shapes[k][at+"post_attention_layernorm.weight"] = []int{C}, []int{C}
	}
	where := map[string]string{}
	for i, shard := range shapes {
		name := fmt.Sprintf("model-0000%d-of-00002.safetensors", i+1)
		writeBF16(t, filepath.Join(dir, name), shard)
		for tensor := range shard {
			where[tensor] = name
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": where})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), index, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeBF16 writes tensors of small numbers.
func writeBF16(t *testing.T, path string, shapes map[string][]int) {
	var infos []safetensors.Info
	for name, shape := range shapes {
		infos = append(infos, safetensors.Info{Name: name, DType: safetensors.BF16, Shape: shape})
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := safetensors.NewWriter(f, infos, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		values := make([]float32, info.Elems())
		for i := range values {
			values[i] = float32(i%17-8) / 512
		}
		if err := w.WriteFloat32(info.Name, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestProcessIsAsPlanned: weights are read from shards of BF16, trained and saved within the memory that is planned. So no
// copy of them is made on the way, which would be 134 MB in float32.
func TestProcessIsAsPlanned(t *testing.T) {
	t.Parallel()
	if testkit.Race {
		t.Skip("the race detector takes memory of its own")
	}
	if testing.Short() {
		t.Skip("a step of 34 million weights")
	}
	real, promised := testkit.Memory(t, starts+"="+wideFolder(t), traintest.TextFile(t, traintest.Text(4000)), filepath.Join(t.TempDir(), "run"))
	t.Logf("%d bytes, planned %d", real, promised)
	if real > promised+8<<20 {
		t.Errorf("the process took %d bytes, and %d were planned", real, promised)
	}
}
