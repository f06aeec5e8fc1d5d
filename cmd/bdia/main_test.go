package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// asProgram is set for a process of this binary that is the program itself.
const asProgram = "BDIA_TEST_AS_PROGRAM"

// scratch holds what tests share; TestMain removes it.
var scratch string

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		dieWhenTold()
		main()
	}
	flag.Parse()
	os.Unsetenv("COLUMNS") // help is as wide as for a pipe
	var err error
	if scratch, err = os.MkdirTemp("", "bdia-cmd-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// result is what a command line came to.
type result struct {
	code     int
	out, err string
}

// call runs a command line in this process.
func call(args ...string) result { return callWith(context.Background(), "", args...) }

func callWith(ctx context.Context, stdin string, args ...string) result {
	var out, errOut bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

// mustCall runs a command line that must succeed.
func mustCall(t *testing.T, args ...string) result {
	t.Helper()
	r := call(args...)
	if r.code != cli.ExitOK {
		t.Fatalf("bdia %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r
}

// golden compares got with testdata/NAME.golden, or writes it under -rewrite.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" && runtime.GOOS != "windows" {
		t.Errorf("%s differs; if that is meant, run go test ./cmd/bdia -rewrite\n%s", path, diff)
	}
}

// write makes a file of the given text below dir and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// prose is made-up text of n sentences.
func prose(n int) string {
	nouns := strings.Fields("house river stone garden window letter morning horse table road")
	verbs := strings.Fields("sees holds finds leaves turns keeps")
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "The %s %s the %s.\n", nouns[i*i%10], verbs[i*7%6], nouns[(i*3+i/10)%10])
	}
	return b.String()
}

// tiny are the flags of a model that trains in an instant.
func tiny(more ...string) []string {
	return append([]string{"--layers", "4", "--heads", "2", "--width", "16", "--context", "16", "--batch", "4", "--steps", "6",
		"--warmup", "2", "--eval-every", "3", "--eval-samples", "8", "--log-every", "1", "--threads", "1"}, more...)
}

// trained is a finished run that tests may read but not change.
var trained = sync.OnceValues(func() (string, error) {
	text, dir := filepath.Join(scratch, "text.txt"), filepath.Join(scratch, "trained")
	if err := os.WriteFile(text, []byte(prose(200)), 0o666); err != nil {
		return "", err
	}
	var errOut bytes.Buffer
	if run(context.Background(), append([]string{"train", "--data", text, "--out", dir}, tiny()...), nil, io.Discard, &errOut) != cli.ExitOK {
		return "", fmt.Errorf("training: %s", &errOut)
	}
	return dir, nil
})

// trainedRun returns the shared run.
func trainedRun(t *testing.T) string {
	t.Helper()
	dir, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// copyRun returns a copy of the shared run that the test may change.
func copyRun(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(dir, os.DirFS(trainedRun(t))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unlisted takes from the run in dir its manifests and older checkpoints, which an earlier version did not write, and
// returns dir.
func unlisted(t *testing.T, dir string) string {
	t.Helper()
	for _, name := range []string{"manifest.json", "best/manifest.json", "checkpoints"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
