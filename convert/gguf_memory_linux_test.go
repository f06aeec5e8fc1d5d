package convert

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestGGUFTakesNoMemory: the pages of a file are given back as they are read, so that an export is not twice as large as
// its model. It is not parallel, as others map files too.
func TestGGUFTakesNoMemory(t *testing.T) {
	const table = 4 * 100_000 * 64 // bytes
	tok, err := tokenizer.TrainBPE(t.Context(), strings.NewReader(strings.Repeat("the house ", 50)), tokenizer.TrainOptions{VocabSize: 270})
	testkit.OK(t, err)
	var m *model.GPT
	be, err := backend.Fit(backend.Options{Threads: 1}, func(be backend.Backend) error {
		m, err = model.NewGPT(be, model.GPTConfig{Family: model.Llama, Vocab: 100_000, Context: 8, Layers: 3, Heads: 2, KVHeads: 1, Width: 64, MLP: 64,
			Rope: model.Rope{Theta: 1e4}}, bdia.DefaultOptions())
		return err
	}, nil)
	testkit.OK(t, err)
	defer be.Close()
	m.Init(1)
	path := filepath.Join(t.TempDir(), "model.gguf")
	out, err := os.Create(path)
	testkit.OK(t, err)
	_, err = WriteGGUF(out, be, m, GGUFOptions{Name: "wide", Type: gguf.F32, Tokenizer: tok})
	testkit.OK(t, err)
	testkit.OK(t, out.Close())
	f, err := gguf.Open(path)
	testkit.OK(t, err)
	defer f.Close()
	before := mapped(t)
	testkit.OK(t, ReadGGUF(be, m, f))
	if took := mapped(t) - before; took > table/2 {
		t.Errorf("%d bytes of files are in memory after a table of %d was read", took, table)
	}
}

// mapped is how much of files this process has in memory, in bytes.
func mapped(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	testkit.OK(t, err)
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Skipf("the system does not tell: %v", err)
	}
	return kib << 10
}
