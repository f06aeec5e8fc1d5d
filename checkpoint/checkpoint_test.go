package checkpoint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/testkit"
	diff "github.com/google/go-cmp/cmp"
)

// tree is the content of a directory by slash-separated name.
type tree map[string]string

var (
	oldTree = tree{
		"config.json":                 "{}",
		"model.safetensors":           "old weights",
		"state/optimizer.safetensors": "old moments",
		"state/state.json":            "old counters",
		"metrics.jsonl":               "not part of it",
	}
	// Longer than the write buffer, one file new, one empty.
	newFiles = tree{
		"model.safetensors":           strings.Repeat("new weights ", 20000),
		"state/optimizer.safetensors": strings.Repeat("new moments ", 1000),
		"state/state.json":            "",
		"best/deep/model.safetensors": "best",
	}
	fileOrder = []string{"model.safetensors", "state/optimizer.safetensors", "state/state.json", "best/deep/model.safetensors"}
)

func newTree() tree {
	all := tree{}
	for name, text := range oldTree {
		all[name] = text
	}
	for name, text := range newFiles {
		all[name] = text
	}
	return all
}

func writeTree(t *testing.T, dir string, files tree) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// readTree reads the files of dir; folders that begin with a dot show as
// "NAME/", other folders only through their files.
func readTree(t *testing.T, dir string) tree {
	t.Helper()
	files := tree{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			if rel != "." && strings.HasPrefix(e.Name(), ".") {
				files[rel+"/"] = ""
			}
			return nil
		}
		text, err := os.ReadFile(p)
		files[rel] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func writeFiles(txn *Txn) error {
	for _, name := range fileOrder {
		w, err := txn.Create(name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, newFiles[name]); err != nil {
			return err
		}
		if name == "state/state.json" { // the others are left to Commit
			if err := w.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func oldDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeTree(t, dir, oldTree)
	return dir
}

// hook calls f before each change in dir with the kind of operation and the slash-separated name that it changes. A
// folder is synced as a file is.
func hook(dir string, f func(op, name string) error) (stop func()) {
	return disk.Tap(dir, func(op disk.Op) error {
		path := op.Path
		if op.Kind == disk.Move || op.Kind == disk.Link {
			path = op.To
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		kind, _, _ := strings.Cut(op.Kind.String(), " ")
		return f(kind, filepath.ToSlash(name))
	})
}

// saveHooked is Save(dir, writeFiles) with a hook before each change.
func saveHooked(dir string, f func(op, name string) error) error {
	defer hook(dir, f)()
	return Save(dir, writeFiles)
}

func TestSave(t *testing.T) {
	t.Parallel()
	dir := oldDir(t)
	for range 2 {
		if err := Save(dir, writeFiles); err != nil {
			t.Fatal(err)
		}
		if d := diff.Diff(newTree(), readTree(t, dir)); d != "" {
			t.Error(d)
		}
	}
	fresh := filepath.Join(dir, "a", "b")
	if err := Save(fresh, writeFiles); err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(newFiles, readTree(t, fresh)); d != "" {
		t.Error(d)
	}
}

// The process ends before any change of a commit, or before any change of the
// recovery from that: the directory is then wholly old or wholly new, and new
// from the journal on.
func TestCrashAnywhere(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	snap := func(from, name string) string {
		to := filepath.Join(base, name)
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	dir := oldDir(t)
	var crashed, ops []string
	err := saveHooked(dir, func(op, name string) error {
		crashed = append(crashed, snap(dir, fmt.Sprint(len(crashed))))
		ops = append(ops, op+" "+name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	crashed, ops = append(crashed, dir), append(ops, "end")
	news, partial := 0, 0
	for i, c := range crashed {
		want := oldTree
		_, err := os.Stat(filepath.Join(c, journalFile))
		if err == nil || news > 0 {
			want = newTree()
			news++
		}
		var again []string
		stop := hook(c, func(string, string) error {
			again = append(again, snap(c, fmt.Sprintf("%d-%d", i, len(again))))
			return nil
		})
		err = Recover(c)
		stop()
		if err != nil {
			t.Fatalf("crash before %q: %v", ops[i], err)
		}
		for j, c := range append(again, c) {
			if err := Recover(c); err != nil {
				t.Fatalf("crash before %q, then at %d of recovery: %v", ops[i], j, err)
			}
			if d := diff.Diff(want, readTree(t, c)); d != "" {
				t.Fatalf("crash before %q, then at %d of recovery: %s", ops[i], j, d)
			}
			partial++
		}
	}
	if len(crashed) < 30 || news < 10 || partial < 100 {
		t.Errorf("only %d crashes, %d of them after the journal, %d recoveries", len(crashed), news, partial)
	}
}

// A disk that fills before any change: one clear error, and the files are old
// or, past the journal, new after the next opening.
func TestDiskFullAnywhere(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		dir := oldDir(t)
		calls, journaled, failed := 0, false, ""
		err := saveHooked(dir, func(op, name string) error {
			calls++
			if calls > n && !strings.HasPrefix(op, "remove") {
				failed = cmp.Or(failed, op+" "+name)
				return &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
			}
			if op == "rename" && name == journalFile {
				journaled = true
			}
			return nil
		})
		if calls <= n {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if failed == "" { // only removals were left, and they need no space
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("full at %q: got %v, want ENOSPC", failed, err)
		}
		if !strings.HasPrefix(err.Error(), "checkpoint: "+dir+": ") || strings.Count(err.Error(), "checkpoint: ") != 1 || strings.Contains(err.Error(), "\n") {
			t.Errorf("full at %q: unclear error %q", failed, err)
		}
		want, phrase := oldTree, "free at least"
		if journaled {
			want, phrase = newTree(), "will be put in place"
		} else if d := diff.Diff(oldTree, readTree(t, dir)); d != "" {
			t.Fatalf("full at %q: before recovery: %s", failed, d)
		}
		if !strings.Contains(err.Error(), phrase) {
			t.Errorf("full at %q: %q, want %q in it", failed, err, phrase)
		}
		if err := Recover(dir); err != nil {
			t.Fatalf("full at %q: %v", failed, err)
		}
		if d := diff.Diff(want, readTree(t, dir)); d != "" {
			t.Fatalf("full at %q: after recovery: %s", failed, d)
		}
	}
}

// The message tells what is missing of what was announced.
func TestDiskFullMessage(t *testing.T) {
	t.Parallel()
	dir := oldDir(t)
	room := 2 << 20
	defer hook(dir, func(op, name string) error {
		if op != "write" {
			return nil
		}
		if room -= 1 << 20; room < 0 {
			return syscall.ENOSPC
		}
		return nil
	})()
	err := Save(dir, func(txn *Txn) error {
		txn.Expect(700 << 20)
		out, err := txn.Create("model.safetensors")
		if err != nil {
			return err
		}
		w, err := safetensors.NewWriter(out, []safetensors.Info{{Name: "w", DType: safetensors.U8, Shape: []int{3 << 20}}}, nil)
		if err != nil {
			return err
		}
		return w.Write("w", make([]byte, 3<<20))
	})
	want := "checkpoint: " + dir + ": no space left on device; the previous checkpoint is intact; free at least "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("got %v", err)
	}
	var mb int
	if _, err := fmt.Sscanf(err.Error()[len(want):], "%d MB, or write to another disk", &mb); err != nil || mb < 697 || mb > 700 {
		t.Errorf("%d MB, %v", mb, err)
	}
}

// A file that is said to be synced was: the system is asked once, and its error is passed on.
func TestSyncFile(t *testing.T) {
	t.Parallel()
	for _, want := range []error{nil, syscall.EIO} {
		dir, n := oldDir(t), 0
		stop := hook(dir, func(op, name string) error {
			if op != "sync" || name != pendingDir+"/f" {
				return nil
			}
			n++
			return want
		})
		err := Save(dir, func(txn *Txn) error { return txn.Write("f", func(io.Writer) error { return nil }) })
		stop()
		if !errors.Is(err, want) || n != 1 {
			t.Errorf("Save returns %v after %d syncs of the file, want %v after one", err, n, want)
		}
	}
}

// What must be durable before the journal, and before it goes.
func TestSyncOrder(t *testing.T) {
	t.Parallel()
	var ops []string
	if err := saveHooked(oldDir(t), func(op, name string) error {
		ops = append(ops, op+" "+name)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	last := func(op string) int {
		i := len(ops) - 1
		for i >= 0 && ops[i] != op {
			i--
		}
		if i < 0 {
			t.Fatalf("no %q in %q", op, ops)
		}
		return i
	}
	inOrder := func(a, b string) {
		if last(a) >= last(b) {
			t.Errorf("%q is not before %q", a, b)
		}
	}
	commit := "rename " + journalFile
	for _, name := range fileOrder {
		if newFiles[name] != "" {
			inOrder("write .pending/"+name, "sync .pending/"+name)
		}
		inOrder("sync .pending/"+name, commit)
		inOrder(commit, "rename "+name)
		inOrder("rename "+name, "sync "+filepath.ToSlash(filepath.Dir(name)))
		inOrder("rename "+name, "remove "+journalFile)
	}
	for _, dir := range []string{"", "/best", "/best/deep", "/state"} {
		inOrder("sync .pending"+dir, commit)
	}
	inOrder("write .pending/.journal", "sync .pending/.journal")
	inOrder("sync .pending/.journal", commit)
	for _, dir := range []string{"best/deep", "best", "state"} {
		inOrder("sync "+dir, "remove "+journalFile)
	}
	if i := slices.Index(ops, commit); ops[i+1] != "sync ." {
		t.Errorf("after the journal comes %q, not its sync", ops[i+1])
	}
	if i := last("remove " + journalFile); ops[i-1] != "sync ." || ops[i+1] != "sync ." {
		t.Errorf("the journal's removal stands between %q and %q", ops[i-1], ops[i+1])
	}
	inOrder("remove "+journalFile, "remove "+pendingDir)
}

func TestAbort(t *testing.T) {
	t.Parallel()
	dir := oldDir(t)
	mine := errors.New("mine")
	err := Save(dir, func(txn *Txn) error {
		if err := writeFiles(txn); err != nil {
			return err
		}
		return mine
	})
	if err != mine {
		t.Errorf("got %v, want the caller's own error", err)
	}
	txn, err := Begin(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := txn.Create("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff("", readTree(t, dir)[".pending/model.safetensors"]); d != "" {
		t.Error(d)
	}
	txn.Abort()
	txn.Abort()
	if _, err := w.Write([]byte("late")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("write after Abort: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("close after Abort: %v", err)
	}
	if _, err := txn.Create("x"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Create after Abort: %v", err)
	}
	if err := txn.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Commit after Abort: %v", err)
	}
	if err := Save(dir, func(*Txn) error { return nil }); err != nil {
		t.Errorf("nothing to save: %v", err)
	}
	if d := diff.Diff(oldTree, readTree(t, dir)); d != "" {
		t.Error(d)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	dir := oldDir(t)
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "out")); err != nil {
		t.Skip(err)
	}
	for _, names := range [][]string{
		{""}, {"."}, {".."}, {"../x"}, {"/etc/x"}, {"a/../b"}, {"a//b"}, {"a/"}, {`a\b`}, {"C:x"}, {"a\x00"},
		{".lock"}, {".pending/x"}, {".journal"}, {"state/.x"}, {strings.Repeat("n", 2000)},
		{"a", "a"}, {"a", "a/b"}, {"state"}, {"config.json/x"}, {"out/x"},
	} {
		err := Save(dir, func(txn *Txn) error {
			for _, name := range names {
				if _, err := txn.Create(name); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil || !strings.HasPrefix(err.Error(), "checkpoint: "+dir+": ") {
			t.Errorf("%.40q: %v", names, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(oldTree, readTree(t, dir)); d != "" {
		t.Error(d)
	}
}

func TestTensorsThroughTxn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vals := []float32{1, -2, 3.5}
	err := Save(dir, func(txn *Txn) error {
		out, err := txn.Create("state/optimizer.safetensors")
		if err != nil {
			return err
		}
		w, err := safetensors.NewWriter(out, []safetensors.Info{{Name: "m", DType: safetensors.F32, Shape: []int{3}}}, nil)
		if err != nil {
			return err
		}
		if err := w.WriteFloat32("m", vals); err != nil {
			return err
		}
		return w.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(dir, "state", "optimizer.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]float32, 3)
	if err := f.ReadFloat32("m", got); err != nil || !slices.Equal(got, vals) {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"files":[{"name":"a/b","size":3},{"name":"c","size":0}]}`))
	f.Add([]byte(`{"version":1,"files":[{"name":"../b","size":3}]}`))
	for _, text := range testkit.Longer([]byte(`{"version":1,"files":[{"name":"a/b","size":3},{"name":"../c","size":0}],"x":1}`)) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := parseJournal(text)
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		for _, e := range entries {
			if !filepath.IsLocal(e.Name) || e.Size < 0 || bytes.ContainsRune([]byte(e.Name), 0) || strings.HasPrefix(e.Name, ".") {
				t.Fatalf("%+v", e)
			}
		}
	})
}
