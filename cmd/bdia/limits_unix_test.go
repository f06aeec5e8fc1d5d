//go:build unix

package main

import (
	"cmp"
	"encoding/base64"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/testkit"
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

// TestVocabularyThatDoesNotFit: a text that is too odd to learn a vocabulary from in the memory that is free is one line,
// and leaves nothing.
func TestVocabularyThatDoesNotFit(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || testkit.Race {
		t.Skip("the system does not tell, or the race detector takes memory of its own")
	}
	dir := t.TempDir()
	raw := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(raw)
	var text, table strings.Builder
	for len(raw) > 0 {
		n := min(57, len(raw))
		line := base64.StdEncoding.EncodeToString(raw[:n])
		raw = raw[n:]
		text.WriteString(line + "\n")
		table.WriteString(line + "\t" + line + "\n")
	}
	corpus, pairs := filepath.Join(dir, "corpus.txt"), filepath.Join(dir, "pairs.tsv")
	if err := cmp.Or(os.WriteFile(corpus, []byte(text.String()), 0o666), os.WriteFile(pairs, []byte(table.String()), 0o666)); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	sizes := []string{"--tokenizer", "bpe", "--bpe-vocab", "4000", "--layers", "1", "--heads", "1", "--width", "16", "--threads", "1", "--steps", "1", "--out", out}
	for _, args := range [][]string{
		{"tokenizer", "train", corpus, "--vocab", "4000", "--out", out},
		append([]string{"train", "text", "--data", corpus, "--context", "32", "--batch", "2"}, sizes...),
		append([]string{"train", "translation", "--data", pairs}, sizes...),
	} {
		code, said := limited(t, "-d "+strconv.Itoa(200<<10), append(args, "--quiet")...)
		if code != cli.ExitFailure || !strings.Contains(said, "memory that is free") && !strings.Contains(said, "memory is free") || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: exit code %d: %.2000s", args, code, said)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s left %s", args, out)
		}
	}
	if code, said := limited(t, "-d "+strconv.Itoa(900<<10), "tokenizer", "train", corpus, "--vocab", "4000", "--out", out); code != cli.ExitOK {
		t.Errorf("with more memory: exit code %d: %.2000s", code, said)
	}
}
