package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/disk"
)

// TestReadOnlyRun: a run on a disk that cannot be written is read, whole. If a save was interrupted there, in the middle
// of putting its files in place, every command that reads says in one line what to do, and none reads a mixture.
func TestReadOnlyRun(t *testing.T) {
	t.Parallel()
	dir, out := copyRun(t), t.TempDir()
	commands := []string{"generate RUN --max-tokens 1", "generate RUN/best --max-tokens 1", "generate RUN/checkpoints/step-3 --max-tokens 1",
		"eval RUN", "verify RUN --files", "export RUN --format hf --out " + filepath.Join(out, "OUT"), "inspect RUN"}
	each := func(state string, check func(result) bool) {
		t.Helper()
		for i, c := range commands {
			args := strings.Fields(strings.NewReplacer("RUN", dir, "OUT", fmt.Sprint(state, i)).Replace(c))
			if r := call(args...); !check(r) {
				t.Errorf("%s: bdia %s: exit code %d, %s%s", state, c, r.code, r.out, r.err)
			}
		}
	}
	works := func(r result) bool { return r.code == cli.ExitOK }
	readOnly := func() func() { return disk.Tap(dir, func(disk.Op) error { return syscall.EROFS }) }
	stop := readOnly()
	each("read-only", works)
	stop()

	// The state is in place already, and the weights of the same checkpoint wait.
	model := readFile(t, dir, "model.safetensors")
	journal, err := json.Marshal(map[string]any{"version": 1, "files": []map[string]any{{"name": "model.safetensors", "size": len(model)}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".journal", string(journal))
	if err := os.Mkdir(filepath.Join(dir, ".pending"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".pending"), "model.safetensors", string(model))
	write(t, dir, "model.safetensors", string(readFile(t, dir, "checkpoints/step-3/model.safetensors")))
	stop = readOnly()
	each("interrupted", func(r result) bool {
		text := strings.Join(strings.Fields(r.out+r.err), " ")
		return r.code == cli.ExitFailure && strings.Contains(text, "an interrupted save has to be finished") && strings.Contains(text, "open the copy")
	})
	stop()
	each("writable", works)
}
