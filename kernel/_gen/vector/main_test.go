package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The committed assembly must be what this program writes; only the first line,
// which holds the command, may differ. To mend: go generate in package kernel.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	asm, stubs := filepath.Join(dir, "vector_amd64.s"), filepath.Join(dir, "vector_stub_amd64.go")
	if out, err := exec.Command("go", "run", ".", "-pkg", "kernel", "-out", asm, "-stubs", stubs).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range []string{asm, stubs} {
		want, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", "..", filepath.Base(f)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(body(got), body(want)) {
			t.Errorf("%s is stale: run go generate in package kernel", filepath.Base(f))
		}
	}
}

// body is b without its first line.
func body(b []byte) []byte {
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return rest
}
