package text

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/sysmem"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// TestTooLargeIsRefusedFirst: a run that the machine has not the memory for is refused before the text is encoded. A
// plan alone is not.
func TestTooLargeIsRefusedFirst(t *testing.T) {
	t.Parallel()
	if sysmem.Now().Free == 0 {
		t.Skip("this system does not tell")
	}
	c := tinyConfig()
	c.Data.Path = traintest.TextFile(t, traintest.Text(4000))
	c.Model.Layers, c.Model.Width, c.Model.Heads = 90, 1<<15, 1<<8 // 4 TiB
	dir := filepath.Join(t.TempDir(), "run")
	_, err := train.Create(context.Background(), dir, New(c), nil)
	var memory *backend.MemoryError
	if !errors.As(err, &memory) || memory.Limit == "" || memory.Beside < backend.ProgramBytes {
		t.Fatalf("%v, want a MemoryError", err)
	}
	if _, err := os.Stat(filepath.Join(dir, dataDir)); err == nil {
		t.Error("the text has been encoded")
	}
	r, err := train.Create(train.PlanOnly(context.Background()), dir, New(c), nil)
	if err != nil {
		t.Fatalf("a plan: %v", err)
	}
	defer r.Close()
	if _, err := r.Train(context.Background(), nil); !errors.As(err, &memory) {
		t.Errorf("training: %v", err)
	}
	if h := train.HostOf(r.Task); h.Program != backend.ProgramBytes || h.Tokenizers%train.TokenBytes != 0 || h.Total() <= h.Program {
		t.Errorf("beside the arena: %+v", h)
	}
}
