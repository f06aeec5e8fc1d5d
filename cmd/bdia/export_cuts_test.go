package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/internal/faultfs"
)

// below reads the files of a folder, by name, or the file at path.
func below(t *testing.T, path string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		files[strings.TrimPrefix(p, path)] = string(b)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return files
}

// TestExportCuts replaces an export, and cuts the power or kills the process before each operation. Its place then
// holds the earlier export or the new one, whole, or the next export there puts things right. It leaves nothing behind.
func TestExportCuts(t *testing.T) {
	t.Parallel()
	run := trainedRun(t)
	for format, name := range map[string]string{"hf": "model", "gguf": "model.gguf", "onnx": "model"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			place := filepath.Join(dir, "place")
			out := filepath.Join(place, name)
			other := "f16"
			if format == "onnx" {
				other = "f32"
			}
			export := func(out, dtype string) result {
				return call("export", run, "--format", format, "--out", out, "--dtype", dtype, "--force", "--threads", "1")
			}
			if r := export(out, "f32"); r.code != 0 {
				t.Fatal(r.err)
			}
			before := below(t, out)
			recording, err := faultfs.Record(place)
			if err != nil {
				t.Fatal(err)
			}
			r := export(out, other)
			if recording.Stop(); r.code != 0 {
				t.Fatal(r.err)
			}
			after := below(t, out)
			every := 1
			if testing.Short() {
				every = recording.Len()/8 + 1
			}
			missing := 0
			for n := 0; n <= recording.Len(); n += every {
				rule := faultfs.Rules[n/every%len(faultfs.Rules)]
				cut := filepath.Join(dir, fmt.Sprint(n))
				if err := recording.Replay(n, rule, cut); err != nil {
					t.Fatal(err)
				}
				got := below(t, filepath.Join(cut, name))
				if len(got) == 0 {
					missing++
				} else if !cmp.Equal(got, before) && !cmp.Equal(got, after) {
					t.Errorf("%v, cut after %d of %d operations: %d files, neither the earlier export nor the new one", rule, n, recording.Len(), len(got))
				}
				if n < recording.Len()/2 && n%8 > 0 {
					continue // it takes long
				}
				if r := export(filepath.Join(cut, "beside"+name), other); r.code != 0 { // mends what is beside it
					t.Fatalf("%v, cut after %d of %d operations: the next export fails: %s", rule, n, recording.Len(), r.err)
				}
				if got := below(t, filepath.Join(cut, name)); !cmp.Equal(got, before) && !cmp.Equal(got, after) {
					t.Errorf("%v, cut after %d of %d operations: after the next export %d files", rule, n, recording.Len(), len(got))
				}
				if left, _ := filepath.Glob(filepath.Join(cut, ".bdia*")); len(left) > 0 {
					t.Errorf("%v, cut after %d of %d operations: left are %q", rule, n, recording.Len(), left)
				}
			}
			t.Logf("%d operations, the place was empty after %d cuts until the next export", recording.Len(), missing)
		})
	}
}
