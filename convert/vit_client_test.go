//go:build clients

package convert

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// TestClientPyTorchViT: a vision transformer written as Hugging Face's has the same
// logits when PyTorch computes what that does.
func TestClientPyTorchViT(t *testing.T) {
	t.Parallel()
	for _, form := range []backend.GELUForm{backend.GELUErf, backend.GELUTanh} {
		c := model.ViTConfig{Image: 12, Patch: 4, Classes: 5, Layers: 3, Heads: 2, Width: 24, MLP: 40, GELU: form, Eps: 1e-6}
		be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: cpu.ScratchBytes(1) + 4<<20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(be.Close)
		m, err := model.NewViT(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range m.Params() { // initial weights are too small to tell
			host := make([]float32, p.Value.Len())
			for j := range host {
				host[j] = 0.4 * float32(math.Sin(float64(i*131+j*j%977)))
			}
			be.Upload(p.Value, host)
		}
		dir, v := t.TempDir(), ViTInfo{Config: c, Std: [3]float64{1, 1, 1}}
		for name, write := range map[string]func(io.Writer) error{
			"config.json":       func(w io.Writer) error { return WriteHFViTConfig(w, v, safetensors.F32) },
			"model.safetensors": func(w io.Writer) error { return WriteHFViT(w, be, m, Form{}) },
		} {
			f, err := os.Create(filepath.Join(dir, name))
			if err == nil {
				err = write(f)
			}
			if err != nil || f.Close() != nil {
				t.Fatal(err)
			}
		}
		b := model.NewImageBatch(c, 2)
		for i := range b.Pixels {
			b.Pixels[i] = float32(math.Cos(float64(i)))
		}
		logits := make([]float32, b.Size*c.Classes)
		if err := m.Logits(logits, b, bdia.NoGrid, 0); err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Logits []float32 `json:"logits"`
		}
		testkit.Python(t, "testdata/vit.py", map[string]any{"dir": dir, "pixels": b.Pixels, "images": b.Size}, &answer)
		var furthest, largest float64
		for i, want := range answer.Logits {
			furthest, largest = max(furthest, math.Abs(float64(logits[i]-want))), max(largest, math.Abs(float64(want)))
		}
		t.Logf("largest difference %.2g of logits up to %.3g", furthest, largest)
		if len(answer.Logits) != len(logits) || !(furthest < 1e-4) {
			t.Errorf("%d logits, of which one differs by %v", len(answer.Logits), furthest)
		}
	}
}
