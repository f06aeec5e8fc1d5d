// Package checkpoint changes the files of a run directory together or not at
// all, through a crash, a kill or a full disk, and keeps a second trainer out.
//
// A checkpoint is several files (weights, optimiser, counters), and a rename
// makes only one of them current. So a transaction goes through a journal:
//
//  1. Every new file is written to DIR/.pending/NAME and synced, with its
//     folders. Until here the old checkpoint is untouched, and the files in
//     .pending are worthless.
//  2. The list of names is written and synced beside them and renamed to
//     DIR/.journal. This one rename decides: from here on the new checkpoint
//     counts.
//  3. Every file is renamed into place, the folders are synced, the journal is
//     removed and its removal synced, and .pending is deleted.
//
// If the files that are replaced are kept (Txn.Keep), they get a second name in
// step 1, by a hard link among the pending files. So every file of a checkpoint
// has its name at every instant, and the older one or the newer one is under it.
// On a file system without hard links the kept files are renamed and synced at
// the beginning of step 3.
//
// A manifest lists the sums of a checkpoint's files (Manifest), so that damage,
// and a mixture of two checkpoints, is found when they are read.
//
// If Recover finds a journal, it finishes step 3; if not, it deletes .pending.
// The sync after the journal's removal matters: a journal that came back after
// a power cut would put the next transaction's half-written files in place.
//
// A folder per checkpoint and a symbolic link to the latest would need no
// journal, but then the run directory would not be a plain model folder.
package checkpoint

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/bdia-go/bdia/internal/disk"
)

const (
	pendingDir  = ".pending"
	journalFile = ".journal"
)

// Txn is a transaction: a set of files that become current together. It is for
// one goroutine. Only one Txn at a time may be open on a directory, so hold its
// Lock.
type Txn struct {
	d      *runDir
	files  []*file
	wrote  int64 // bytes written to the pending files
	asked  int64 // the same, with failed writes included
	expect int64
	err    error // the first failure

	listings []listing
	keep     *keeping // nil: what is replaced goes
}

// Save runs write in a transaction on dir and commits it. If write or the
// commit fails, the directory keeps its old files. The error is then the
// transaction's own, for example a full disk; only if it has none, the error of
// write.
func Save(dir string, write func(t *Txn) error) error {
	t, err := Begin(dir)
	if err != nil {
		return err
	}
	return t.save(write)
}

func (t *Txn) save(write func(t *Txn) error) error {
	defer t.Abort()
	if err := write(t); err != nil {
		return cmp.Or(t.err, err)
	}
	return t.Commit()
}

// Begin starts a transaction on dir, creating dir if necessary. It first cleans
// up after an interrupted one (see Recover).
func Begin(dir string) (*Txn, error) {
	if err := disk.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	d, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	return begin(d)
}

func begin(d *runDir) (*Txn, error) {
	t := &Txn{d: d}
	if err := d.recover(); err != nil {
		d.close()
		return nil, err
	}
	if err := d.mkdirAll(pendingDir); err != nil {
		defer d.close()
		return nil, t.fail(err)
	}
	return t, nil
}

// Expect sets the number of bytes of the whole transaction, so that the error
// for a full disk can say how much space to free.
func (t *Txn) Expect(bytes int64) { t.expect = bytes }

// Create opens a new file of the transaction for writing, buffered. name is
// slash-separated and relative to the directory, such as
// "state/optimizer.safetensors"; folders are made as needed. A folder or file
// name that begins with a dot is an error. The file becomes durable at Close or
// Commit.
func (t *Txn) Create(name string) (io.WriteCloser, error) {
	if t.err != nil {
		return nil, t.err
	}
	if t.d == nil {
		return nil, fmt.Errorf("checkpoint: create %s: %w", name, fs.ErrClosed)
	}
	if err := checkName(name); err != nil {
		return nil, t.fail(err)
	}
	if slices.ContainsFunc(t.files, func(f *file) bool { return f.name == name }) {
		return nil, t.fail(fmt.Errorf("%s is created twice", name))
	}
	if err := t.d.mkdirAll(path.Join(pendingDir, path.Dir(name))); err != nil {
		return nil, t.fail(err)
	}
	out, err := t.d.create(path.Join(pendingDir, name))
	if err != nil {
		return nil, t.fail(err)
	}
	f := &file{t: t, name: name, f: out}
	f.buf = bufio.NewWriterSize(rawFile{f}, 1<<16)
	t.files = append(t.files, f)
	return f, nil
}

// Write writes one file of the transaction (see Create) with the given function.
func (t *Txn) Write(name string, write func(io.Writer) error) error {
	w, err := t.Create(name)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		w.Close()
		return err
	}
	return w.Close()
}

// Commit makes all files current together and ends the transaction. Files not
// yet closed are closed. After an error the directory still has its old files,
// unless the error says that the new checkpoint will be put in place when the
// directory is next opened.
func (t *Txn) Commit() error {
	if t.d == nil && t.err == nil {
		return fmt.Errorf("checkpoint: commit: %w", fs.ErrClosed)
	}
	defer t.Abort()
	if t.err != nil {
		return t.err
	}
	entries, err := t.entries()
	if err != nil {
		return t.fail(err)
	}
	if len(entries) == 0 {
		return nil
	}
	if err := t.prepare(entries); err != nil {
		return t.fail(err)
	}
	d := t.d
	t.d = nil // after the journal, do not abort
	defer d.close()
	err = d.root.SyncFolder(".")
	if err == nil {
		err = d.finish(entries)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w; the new checkpoint is complete and will be put in place when the directory is next opened", d.path, bare(err))
	}
	if t.keep != nil {
		t.keep.prune(d, t.step())
	}
	return nil
}

// entries closes the files, completes them by manifests and by what is kept, and returns what the journal has to list.
func (t *Txn) entries() (entries []entry, err error) {
	for _, f := range t.files {
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	if err := t.list(); err != nil {
		return nil, err
	}
	t.dropSame()
	n := len(t.files)
	if entries, err = t.retire(); err != nil {
		return nil, err
	}
	for _, f := range slices.Concat(t.files[n:], t.files[:n]) { // what is kept comes first
		entries = append(entries, entry{Name: f.name, Size: f.size})
	}
	return entries, nil
}

// prepare does everything that may fail, the journal included.
func (t *Txn) prepare(entries []entry) error {
	folders := parents(entries)
	missing := slices.ContainsFunc(folders, func(dir string) bool { _, err := t.d.root.Stat(dir); return err != nil })
	for _, e := range entries {
		if st, err := t.d.root.Stat(e.Name); err == nil && st.IsDir() {
			return fmt.Errorf("%s is a folder in the way of a file: move it away, and try again", e.Name)
		}
		if err := t.d.mkdirAll(path.Dir(e.Name)); err != nil {
			return err
		}
	}
	if missing { // a new folder must not be lost with the files that move into it
		for _, dir := range folders {
			if err := t.d.root.SyncFolder(dir); err != nil {
				return err
			}
		}
	}
	pending := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.From != "" })
	for _, dir := range parents(pending) {
		if err := t.d.root.SyncFolder(path.Join(pendingDir, dir)); err != nil {
			return err
		}
	}
	if err := t.d.root.SyncFolder("."); err != nil { // the names of the folders, before the journal's
		return err
	}
	return t.d.writeJournal(entries)
}

// step is the step of the transaction's manifest.
func (t *Txn) step() int {
	for _, l := range t.listings {
		if l.prefix == "" {
			return l.m.Step
		}
	}
	return 0
}

// Abort drops the transaction's files; the directory keeps its old ones. After
// Commit or Abort it does nothing, so it can be deferred.
func (t *Txn) Abort() {
	if t.d == nil {
		return
	}
	for _, f := range t.files {
		f.abandon()
	}
	t.d.removeAll(pendingDir) // the next Begin removes the rest
	t.d.close()
	t.d = nil
}

// fail records the first error of the transaction, worded for the user, and
// returns it.
func (t *Txn) fail(err error) error {
	if t.err != nil {
		return t.err
	}
	earlier := "no earlier checkpoint was touched"
	for _, f := range t.files {
		if _, err := t.d.root.Stat(f.name); err == nil {
			earlier = "the previous checkpoint is intact"
		}
	}
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) {
			const mb = 1 << 20
			need := max(t.expect, t.asked) - t.wrote
			t.err = fmt.Errorf("checkpoint: %s: %w; %s; free at least %d MB, or write to another disk",
				t.d.path, full, earlier, max(1, (need+mb-1)/mb))
			return t.err
		}
	}
	t.err = fmt.Errorf("checkpoint: %s: %w; %s", t.d.path, bare(err), earlier)
	return t.err
}

// file is one pending file; it implements io.WriteCloser.
type file struct {
	t    *Txn
	name string
	f    *disk.File // nil once closed
	buf  *bufio.Writer
	size int64
	sum  hasher // of what was written
}

// Write buffers p.
func (f *file) Write(p []byte) (int, error) {
	if f.t.err != nil {
		return 0, f.t.err
	}
	if f.f == nil {
		return 0, fmt.Errorf("checkpoint: write %s: %w", f.name, fs.ErrClosed)
	}
	return f.buf.Write(p)
}

// Close flushes and syncs the file. A second Close does nothing.
func (f *file) Close() error {
	if f.t.err != nil {
		return f.t.err
	}
	if f.f == nil {
		return nil
	}
	if err := f.buf.Flush(); err != nil {
		return err
	}
	err := f.f.Sync()
	if cerr := f.f.Close(); err == nil {
		err = cerr
	}
	f.f = nil
	if err != nil {
		return f.t.fail(err)
	}
	return nil
}

func (f *file) abandon() {
	if f.f != nil {
		f.f.Close()
		f.f = nil
	}
}

// rawFile is the file below the buffer. It counts bytes and records failures in
// the transaction.
type rawFile struct{ *file }

// Write writes p through to the pending file.
func (r rawFile) Write(p []byte) (int, error) {
	n, err := r.f.Write(p)
	r.size += int64(n)
	r.sum.Write(p[:n])
	r.t.wrote += int64(n)
	r.t.asked += int64(len(p))
	if err != nil {
		return n, r.t.fail(err)
	}
	return n, nil
}

// checkName accepts only plain relative names. So neither a caller's mistake
// nor a forged journal can name a file outside the directory or the
// transaction's own files.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\:\x00") || len(name) > 1024 {
		return fmt.Errorf("%.80q is not a relative slash-separated name", name)
	}
	for elem := range strings.SplitSeq(name, "/") {
		if elem[0] == '.' {
			return fmt.Errorf("%.80q: names that begin with a dot are reserved", name)
		}
	}
	return nil
}

// parents lists the entries' folders and all folders above them, "." included,
// deepest first.
func parents(entries []entry) []string {
	dirs := []string{"."}
	for _, e := range entries {
		for dir := path.Dir(e.Name); dir != "."; dir = path.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return strings.Compare(b, a) })
	return slices.Compact(dirs)
}
