// Package gen tests that the committed assembly is what its generators write.
package gen

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestStale runs every generator into an empty folder and compares.
func TestStale(t *testing.T) {
	t.Parallel()
	for program, files := range map[string]map[string]string{ // flag → file
		"gemm":   {"-out": "gemm_amd64.s", "-stubs": "gemm_stub_amd64.go", "-tables": "gemm_table_amd64.go"},
		"gemm16": {"-out": "gemm16_amd64.s", "-stubs": "gemm16_stub_amd64.go"},
		"vector": {"-out": "vector_amd64.s", "-stubs": "vector_stub_amd64.go"},
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			sources, _ := filepath.Glob(filepath.Join(program, "*.go"))
			for _, s := range append(sources, filepath.Join("avx", "avx.go")) { // so that a cached result ends when a generator changes
				if _, err := os.ReadFile(s); err != nil {
					t.Fatal(err)
				}
			}
			dir := t.TempDir()
			args := []string{"run", "./" + program, "-pkg", "kernel"}
			for flag, name := range files {
				args = append(args, flag, filepath.Join(dir, name))
			}
			if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
				t.Fatalf("go %v: %v\n%s", args, err, out)
			}
			for _, name := range files {
				want, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(filepath.Join("..", name))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(body(got), body(want)) {
					t.Errorf("kernel/%s is stale; run: go generate ./kernel", name)
				}
			}
		})
	}
}

// body is a file without its first line, which holds the generator's arguments.
func body(file []byte) []byte {
	_, rest, _ := bytes.Cut(file, []byte("\n"))
	return rest
}
