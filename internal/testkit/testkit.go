// Package testkit has helpers for the tests of several packages.
package testkit

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// RepoRoot returns the folder that holds go.mod.
func RepoRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("testkit: no go.mod above the test")
		}
		dir = up
	}
}

// OK ends the test if err is not nil.
func OK(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// SharedPath returns the path of a file in the folder of reference data that may lie beside the repository. If it is
// absent, the test is skipped.
func SharedPath(t testing.TB, elem ...string) string {
	t.Helper()
	p := filepath.Join(append([]string{RepoRoot(t), "..", "shared"}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("reference data %s is not beside the repository", filepath.Join(elem...))
	}
	return p
}

// Full is a writer with a capacity of that many bytes.
type Full int

// Write fails with io.ErrShortWrite if p exceeds the remaining capacity.
func (r *Full) Write(p []byte) (int, error) {
	if int(*r) < len(p) {
		return 0, io.ErrShortWrite
	}
	*r -= Full(len(p))
	return len(p), nil
}

// AddTo returns a function that adds the losses of a pass to sum and passes its error on: it takes both results of a
// model's Step or Loss, AddTo(&sum)(m.Step(...)).
func AddTo(sum *float64) func(losses []float32, err error) error {
	return func(losses []float32, err error) error {
		for _, l := range losses {
			*sum += float64(l)
		}
		return err
	}
}

// RealTokenizer unpacks a published tokenizer of the reference data into a new folder. If the data is absent, the test
// is skipped.
func RealTokenizer(t testing.TB, name string) string {
	t.Helper()
	dir := SharedPath(t, "llm", "tokenizers", name)
	packed, err := os.Open(filepath.Join(dir, "tokenizer.json.gz"))
	OK(t, err)
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	OK(t, err)
	text, err := io.ReadAll(r)
	OK(t, err)
	files := map[string][]byte{"tokenizer.json": text}
	if text, err = os.ReadFile(filepath.Join(dir, "tokenizer_config.json")); err == nil {
		files["tokenizer_config.json"] = text
	}
	return Folder(t, files)
}
