//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// limited runs the program under a limit of the shell, such as "-n 64", and returns its exit code and what it said.
func limited(t *testing.T, limit string, args ...string) (code int, said string) {
	t.Helper()
	c := exec.Command("/bin/sh", append([]string{"-c", `ulimit ` + limit + ` && exec "$0" "$@"`, os.Args[0]}, args...)...)
	c.Env = append(os.Environ(), asProgram+"=1")
	out, err := c.CombinedOutput()
	return ended(t, err), string(out)
}

// TestFewOpenFiles: 64 open files are enough for images of 2,100 files.
func TestFewOpenFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, run := filepath.Join(dir, "photos"), filepath.Join(dir, "run")
	if err := writeImages(data, 700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"inspect", data},
		append([]string{"train", "--data", data, "--out", run}, tinyViT("--steps", "2", "--threads", "3")...),
		{"train", "resume", run, "--steps", "4"},
		{"eval", run},
		{"classify", run, data},
		{"verify", run},
		{"verify", run, "--files"},
		{"inspect", run},
		{"export", run, "--format", "hf", "--out", filepath.Join(dir, "export")},
	} {
		if code, said := limited(t, "-n 64", args...); code != cli.ExitOK {
			t.Errorf("%s: exit code %d: %.2000s", strings.Join(args, " "), code, said)
		}
	}
}

// TestAddressSpace: a limit of virtual memory is one line or is enough, and from 2,000 MiB on nothing dies in Go's
// runtime. Below, what the runtime and the C library reserve before the program's first line may already be too much.
func TestAddressSpace(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || strconv.IntSize < 64 {
		t.Skip("the system does not tell, or has no addresses to waste")
	}
	trainedRun(t)
	text := filepath.Join(scratch, "text.txt")
	for _, mib := range []int{1024, 1500, 1700, 2000, 2500, 3000, 6000} {
		out := filepath.Join(t.TempDir(), "run")
		code, said := limited(t, "-v "+strconv.Itoa(mib<<10), append([]string{"train", "--data", text, "--out", out}, tiny("--steps", "3", "--threads", "2")...)...)
		if before := strings.Contains(said, "pthread_create failed") || strings.Contains(said, "runtime: out of memory"); mib < 2000 && before {
			t.Logf("%d MiB: no addresses for the runtime", mib)
			continue
		}
		ok := code == cli.ExitOK
		if refused := code == cli.ExitFailure && strings.Contains(said, "(ulimit -v)"); mib == 1024 && !refused || mib == 6000 && !ok || !refused && !ok {
			t.Errorf("%d MiB: exit code %d: %.2000s", mib, code, said)
		}
		t.Logf("%d MiB: exit code %d", mib, code)
	}
}
