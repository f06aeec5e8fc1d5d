package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	diff "github.com/google/go-cmp/cmp"
)

// stepFiles are the files of a checkpoint of a step.
func stepFiles(step int) tree {
	return tree{
		"config.json":                 "{}",
		"model.safetensors":           strings.Repeat(fmt.Sprint("weights ", step, " "), 9000),
		"state/optimizer.safetensors": fmt.Sprint("moments ", step),
		"state/state.json":            fmt.Sprint("state ", step),
	}
}

// besideFiles stand in the folder and are in the manifest.
var besideFiles = tree{"chars.json": "abc", "data/text.tokens": "tokens", "bdia.yaml": "task: text"}

// checkpointOf is the transaction that saves the checkpoint of a step.
func checkpointOf(t *testing.T, dir string, step, keep int) func(*Txn) error {
	return func(x *Txn) error {
		others := map[string]Sum{}
		for name := range besideFiles {
			sum, err := SumFile(filepath.Join(dir, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			others[name] = sum
		}
		x.Manifest("", step, others)
		x.Keep(keep, 0, false, func(name string) bool { return name == "bdia.yaml" || strings.HasPrefix(name, "data/") })
		files := stepFiles(step)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := x.Write(name, func(w io.Writer) error { _, err := io.WriteString(w, files[name]); return err }); err != nil {
				return err
			}
		}
		return nil
	}
}

// newest returns the step of the whole checkpoint in dir, or fails.
func newest(t *testing.T, dir string) int {
	t.Helper()
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range m.Names() {
		if err := m.Compare(dir, name); err != nil {
			t.Error(err)
		}
	}
	want := fmt.Sprint("state ", m.Step)
	if b, err := os.ReadFile(filepath.Join(dir, "state", "state.json")); err != nil || string(b) != want {
		t.Errorf("state %q, %v; want %q", b, err, want)
	}
	return m.Step
}

// TestKeep: every checkpoint is whole, as many older ones as asked for are, and they are model folders of their own.
func TestKeep(t *testing.T) {
	t.Parallel()
	for keep, want := range map[int][]int{0: nil, 1: nil, 2: {30}, 3: {30, 20}, 9: {30, 20, 10}} {
		dir := t.TempDir()
		writeTree(t, dir, besideFiles)
		for step := 10; step <= 40; step += 10 {
			if err := Save(dir, checkpointOf(t, dir, step, keep)); err != nil {
				t.Fatal(err)
			}
		}
		if step := newest(t, dir); step != 40 {
			t.Errorf("the newest is of step %d", step)
		}
		kept, err := Kept(dir)
		if err != nil || !slices.Equal(kept, want) {
			t.Errorf("keep %d: kept %v, %v; want %v", keep, kept, err, want)
		}
		for _, step := range kept {
			at := filepath.Join(dir, filepath.FromSlash(KeptName(step)))
			if newest(t, at) != step {
				t.Errorf("%s is of another step", at)
			}
			if _, err := os.Stat(filepath.Join(at, "data")); !errors.Is(err, fs.ErrNotExist) {
				t.Error("data are kept twice")
			}
		}
		if _, err := os.Stat(filepath.Join(dir, KeptDir)); (err == nil) != (len(want) > 0) {
			t.Errorf("keep %d: the folder of kept checkpoints: %v", keep, err)
		}
		// A run that went back behind its older checkpoints has none of the future.
		if err := Save(dir, checkpointOf(t, dir, 15, keep)); err != nil {
			t.Fatal(err)
		}
		kept, err = Kept(dir)
		if err != nil || slices.ContainsFunc(kept, func(step int) bool { return step > 15 }) {
			t.Errorf("keep %d: after going back %v, %v", keep, kept, err)
		}
	}
}

// TestKeepInterrupted stops a commit before each of its operations, on a file system with hard links and one without:
// the folder then has the old checkpoint or the new one, whole, and after the next save both are.
func TestKeepInterrupted(t *testing.T) {
	t.Parallel()
	t.Run("links", func(t *testing.T) { t.Parallel(); keepInterrupted(t, nil) })
	t.Run("no links", func(t *testing.T) { t.Parallel(); keepInterrupted(t, syscall.EPERM) })
}

// keepInterrupted is TestKeepInterrupted with what the file system says to a hard link.
func keepInterrupted(t *testing.T, link error) {
	stop, every := errors.New("stop"), 1
	if testing.Short() {
		every = 5
	}
	for at := 0; ; at += every {
		dir := t.TempDir()
		writeTree(t, dir, besideFiles)
		for step := 10; step <= 20; step += 10 {
			if err := Save(dir, checkpointOf(t, dir, step, 2)); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		unhook := hook(dir, func(op, _ string) error {
			if n++; n > at {
				return stop
			}
			if op == "link" {
				return link
			}
			return nil
		})
		err := Save(dir, checkpointOf(t, dir, 30, 2))
		unhook()
		if err := Recover(dir); err != nil {
			t.Fatalf("operation %d: %v", at, err)
		}
		step := newest(t, dir)
		kept, kerr := Kept(dir)
		if kerr != nil || len(kept) == 0 || kept[0] != step-10 {
			t.Errorf("operation %d: newest %d, kept %v, %v", at, step, kept, kerr)
		}
		newest(t, filepath.Join(dir, filepath.FromSlash(KeptName(step-10))))
		if err := Save(dir, checkpointOf(t, dir, 40, 2)); err != nil {
			t.Fatal(err)
		}
		if newest(t, dir) != 40 || newest(t, filepath.Join(dir, filepath.FromSlash(KeptName(step)))) != step {
			t.Errorf("operation %d: the next save", at)
		}
		if err == nil {
			if at < 20 {
				t.Errorf("only %d operations", at)
			}
			return
		}
	}
}

// TestKeepAtEveryInstant: while a commit keeps the checkpoint that it replaces, every file of the directory has its
// name, and is the one of the older checkpoint or of the newer. Without hard links the kept files are away for a while.
func TestKeepAtEveryInstant(t *testing.T) {
	t.Parallel()
	for _, links := range []bool{true, false} {
		dir := t.TempDir()
		writeTree(t, dir, besideFiles)
		if err := Save(dir, checkpointOf(t, dir, 10, 2)); err != nil {
			t.Fatal(err)
		}
		older, newer, away, n := stepFiles(10), stepFiles(20), 0, 0
		unhook := hook(dir, func(op, _ string) error {
			n++
			is := readTree(t, dir)
			for name := range older {
				switch text, there := is[name]; {
				case !there:
					away++
				case text != older[name] && text != newer[name]:
					t.Errorf("operation %d: %s is neither of the older checkpoint nor of the newer", n, name)
				}
			}
			if op == "link" && !links {
				return syscall.EPERM
			}
			return nil
		})
		err := Save(dir, checkpointOf(t, dir, 20, 2))
		unhook()
		if err != nil || n < 40 || (away > 0) == links {
			t.Errorf("links %v: %d operations, files were away %d times, error %v", links, n, away, err)
		}
		if newest(t, dir) != 20 || newest(t, filepath.Join(dir, filepath.FromSlash(KeptName(10)))) != 10 {
			t.Errorf("links %v: the checkpoints are of other steps", links)
		}
	}
}

// TestEarlierJournal: a commit that an earlier version began, with moves, is completed from any of its states.
func TestEarlierJournal(t *testing.T) {
	t.Parallel()
	const text = `{"version":2,"files":[{"name":"checkpoints/step-10/a","size":3,"from":"a"},{"name":"a","size":4},{"name":"checkpoints/step-10/b","size":1}]}`
	for state, files := range map[string]tree{
		"nothing moved":  {"a": "old", ".pending/a": "newa", ".pending/checkpoints/step-10/b": "b"},
		"kept":           {"checkpoints/step-10/a": "old", ".pending/a": "newa", ".pending/checkpoints/step-10/b": "b"},
		"kept, replaced": {"checkpoints/step-10/a": "old", "a": "newa", ".pending/checkpoints/step-10/b": "b"},
		"all":            {"checkpoints/step-10/a": "old", "a": "newa", "checkpoints/step-10/b": "b"},
	} {
		dir := t.TempDir()
		writeTree(t, dir, files)
		writeTree(t, dir, tree{journalFile: text})
		kept := filepath.Join(dir, filepath.FromSlash(KeptName(10)))
		if err := os.MkdirAll(kept, 0o755); err != nil { // made before the journal
			t.Fatal(err)
		}
		if err := Recover(dir); err != nil {
			t.Errorf("%s: %v", state, err)
		}
		want := tree{"checkpoints/step-10/a": "old", "a": "newa", "checkpoints/step-10/b": "b"}
		if d := diff.Diff(want, readTree(t, dir)); d != "" {
			t.Errorf("%s: %s", state, d)
		}
	}
}

// TestManifestRefuses: a manifest of a newer version, one that is none, and one that names files outside.
func TestManifestRefuses(t *testing.T) {
	t.Parallel()
	const sum = `{"size":1,"hash":"00000000000000000000000000000000"}`
	for text, want := range map[string]error{
		`{"version":2,"something":"else"}`:                                               ErrVersion,
		`{"version":1,"hash":"xxh3-128","files":{"a":` + sum + `}}`:                      nil,
		`{"version":1,"hash":"xxh3-128","files":{"a":` + sum + `},"more":1}`:             ErrDamaged,
		`{"version":1,"hash":"md5","files":{"a":` + sum + `}}`:                           ErrDamaged,
		`{"version":1,"hash":"xxh3-128","files":{}}`:                                     ErrDamaged,
		`{"version":1,"step":-1,"hash":"xxh3-128","files":{"a":` + sum + `}}`:            ErrDamaged,
		`{"version":1,"hash":"xxh3-128","files":{"../a":` + sum + `}}`:                   ErrDamaged,
		`{"version":1,"hash":"xxh3-128","files":{"/a":` + sum + `}}`:                     ErrDamaged,
		`{"version":1,"hash":"xxh3-128","files":{"a":{"size":1,"hash":"00"}}}`:           ErrDamaged,
		`{"version":1,"hash":"xxh3-128","files":{"a":{"size":-1,"hash":"` + sum + `"}}}`: ErrDamaged,
		`{"icons":[]}`: ErrDamaged,
		`no JSON`:      ErrDamaged,
	} {
		dir := t.TempDir()
		writeTree(t, dir, tree{ManifestFile: text})
		if _, err := ReadManifest(dir); !errors.Is(err, want) || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want %v", text, err, want)
		}
	}
	if _, err := ReadManifest(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no manifest: %v", err)
	}
}

// TestCompare: each way in which a file can differ from its manifest.
func TestCompare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeTree(t, dir, besideFiles)
	if err := Save(dir, checkpointOf(t, dir, 10, 1)); err != nil {
		t.Fatal(err)
	}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(dir, m.Names()...).Wait(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.safetensors")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for want, damage := range map[string]func() error{
		"has other bytes":            func() error { b := slices.Clone(old); b[len(b)/2] ^= 4; return os.WriteFile(path, b, 0o644) },
		"bytes and was written with": func() error { return os.WriteFile(path, old[1:], 0o644) },
		"is missing":                 func() error { return os.Remove(path) },
		"cannot be read":             func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, old, 0o644), damage()); err != nil {
			t.Fatal(err)
		}
		err := m.Check(dir, m.Names()...).Wait()
		var d *DamagedError
		if !errors.As(err, &d) || d.File != "model.safetensors" || d.Step != 10 || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

// TestShut: a file that this process may not open is not damaged, so that no older checkpoint takes its place.
func TestShut(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		syscall.EACCES: true, syscall.EPERM: true, syscall.EMFILE: true, syscall.ENFILE: true, syscall.ENOMEM: true, syscall.ESTALE: true, syscall.EIO: false, syscall.EISDIR: false,
	} {
		if got := Shut(&fs.PathError{Op: "open", Path: "model.safetensors", Err: err}); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if os.Getuid() <= 0 { // who may read everything, and Windows
		return
	}
	dir := t.TempDir()
	writeTree(t, dir, besideFiles)
	if err := Save(dir, checkpointOf(t, dir, 10, 1)); err != nil {
		t.Fatal(err)
	}
	m, err := ReadManifest(dir)
	if err == nil {
		err = os.Chmod(filepath.Join(dir, "model.safetensors"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Compare(dir, "model.safetensors"); !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrDamaged) {
		t.Errorf("error %v", err)
	}
}
