//go:build unix

package text

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/mmap"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// TestTokensCutWhileTraining: tokens that are cut while a run learns them are an error that names the file and the
// checkpoint, where the kernel would end the process.
func TestTokensCutWhileTraining(t *testing.T) {
	t.Parallel()
	c := tinyConfig()
	c.Loop.SaveEvery = 2
	c.Data.Path = traintest.TextFile(t, traintest.Text(40_000))
	r := create(t, c)
	shards, err := filepath.Glob(filepath.Join(r.Dir, dataDir, shardName+"-*"))
	if err != nil || len(shards) != 1 {
		t.Fatalf("shards %q, %v", shards, err)
	}
	_, err = r.Train(context.Background(), traintest.Listener{OnStep: func(step int, _ train.StepResult) {
		if step == 4 {
			if err := os.Truncate(shards[0], 200); err != nil {
				t.Error(err)
			}
		}
	}})
	if !errors.Is(err, mmap.ErrLost) || !strings.Contains(err.Error(), shardName) || !strings.Contains(err.Error(), "the checkpoint of step 4") {
		t.Errorf("%v", err)
	}
}
