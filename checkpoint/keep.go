package checkpoint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// KeptDir is the folder, in a run directory, of the older checkpoints that are kept: checkpoints/step-500, for example.
const KeptDir = "checkpoints"

// KeptName is the slash-separated name of the kept checkpoint of a step.
func KeptName(step int) string { return KeptDir + "/step-" + strconv.Itoa(step) }

// stepOf is the step in the name of a folder of KeptDir, or false.
func stepOf(name string) (step int, ok bool) {
	digits, ok := strings.CutPrefix(name, "step-")
	step, err := strconv.Atoi(digits)
	return step, ok && err == nil && step > 0 && strconv.Itoa(step) == digits
}

// Kept lists the steps of the older checkpoints in the run directory dir, newest first. Whether they are whole, their
// manifests tell.
func Kept(dir string) ([]int, error) {
	d, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.close()
	steps, err := d.kept()
	return slices.DeleteFunc(steps, func(step int) bool { // a commit that was not made leaves an empty folder
		_, err := d.root.Lstat(path.Join(KeptName(step), ManifestFile))
		return errors.Is(err, fs.ErrNotExist)
	}), err
}

// kept lists the steps of all folders of KeptDir.
func (d *runDir) kept() (steps []int, err error) {
	entries, err := fs.ReadDir(d.root.FS(), KeptDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("checkpoint: %s: %w", d.path, bare(err))
	}
	for _, e := range entries {
		if step, ok := stepOf(e.Name()); ok && e.IsDir() {
			steps = append(steps, step)
		}
	}
	slices.SortFunc(steps, func(a, b int) int { return b - a })
	return steps, nil
}

// listing is a manifest that Commit writes.
type listing struct {
	prefix string // folder with a slash, or empty
	m      *Manifest
}

// Manifest makes Commit write a manifest of the transaction's files in the folder prefix, empty or for example "best/".
// Files of a deeper manifest are not in it. The manifest also lists the files in others, which stand there and are
// carried on as they were; a name that is in both is the transaction's.
func (t *Txn) Manifest(prefix string, step int, others map[string]Sum) {
	m := newManifest(step)
	maps.Copy(m.Files, others)
	t.listings = append(t.listings, listing{prefix, m})
}

// Keep makes Commit keep older checkpoints in KeptDir: the files of the one that it replaces get a further name there,
// and the ones that did not change are copied, except for those that leave reports. Of all, the newest n-1 stay, and
// the one of step hold. A replaced one that is abandoned, since the run went back to an earlier one, is not kept. The
// transaction needs a Manifest of the prefix "".
func (t *Txn) Keep(n, hold int, abandoned bool, leave func(name string) bool) {
	t.keep = &keeping{n, hold, abandoned, leave}
}

type keeping struct {
	n, hold   int
	abandoned bool
	leave     func(name string) bool
}

// list writes the manifests.
func (t *Txn) list() error {
	slices.SortFunc(t.listings, func(a, b listing) int { return len(b.prefix) - len(a.prefix) }) // deeper ones first
	listed := map[*file]bool{}
	for _, l := range t.listings {
		for _, f := range t.files {
			if name, ok := strings.CutPrefix(f.name, l.prefix); ok && !listed[f] {
				l.m.Files[name], listed[f] = f.sum.sum(), true
			}
		}
		if err := t.Write(l.prefix+ManifestFile, l.m.write); err != nil {
			return err
		}
		listed[t.files[len(t.files)-1]] = true
	}
	return nil
}

// largestSame bounds the files that are read to see whether they change.
const largestSame = 1 << 24 // bytes

// dropSame takes files out of the transaction that stand in their place with the same bytes.
func (t *Txn) dropSame() {
	t.files = slices.DeleteFunc(t.files, func(f *file) bool {
		if f.size > largestSame {
			return false
		}
		sum, err := t.d.sumOf(f.name)
		return err == nil && sum == f.sum.sum()
	})
}

// sumOf reads a file of the directory.
func (d *runDir) sumOf(name string) (Sum, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return Sum{}, err
	}
	if !info.Mode().IsRegular() {
		return Sum{}, fs.ErrInvalid
	}
	f, err := d.root.Open(name)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	return SumOf(f)
}

// manifest reads the manifest in a folder of the directory.
func (d *runDir) manifest(folder string) (*Manifest, error) {
	f, err := d.root.Open(path.Join(folder, ManifestFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return nil, err
	}
	return parseManifest(d.path, text)
}

// retire keeps the checkpoint that the transaction replaces: it adds to the transaction what is linked or copied into
// KeptDir. On a file system without hard links it returns the moves that do so; until the new files are in place, the
// directory then lacks the old ones. A checkpoint that is not whole, or has no manifest, is not kept.
func (t *Txn) retire() (moves []entry, err error) {
	if t.keep == nil || t.keep.abandoned || t.keep.n < 2 && t.keep.hold == 0 {
		return nil, nil
	}
	old, err := t.d.manifest(".")
	if err != nil || old.Step == 0 || old.Step >= t.step() || t.keep.n < 2 && t.keep.hold != old.Step {
		return nil, nil
	}
	to := KeptName(old.Step)
	stands := newManifest(old.Step)
	for _, name := range old.Names() {
		if t.keep.leave(name) {
			continue
		}
		sum := old.Files[name]
		if Editable(name) { // as it is now: perhaps edited by hand, or gone
			if sum, err = t.d.sumOf(name); err != nil {
				continue
			}
		}
		stands.Files[name] = sum
		if info, err := t.d.root.Lstat(name); err != nil || !info.Mode().IsRegular() || info.Size() != sum.Size {
			return nil, nil
		}
	}
	if same, err := t.alreadyKept(to, stands); same || err != nil {
		return nil, err
	}
	for _, name := range stands.Names() {
		kept, size := path.Join(to, name), stands.Files[name].Size
		if !slices.ContainsFunc(t.files, func(f *file) bool { return f.name == name }) {
			if err := t.copy(name, kept); err != nil {
				return nil, err
			}
		} else if !t.link(name, kept, size) {
			moves = append(moves, entry{Name: kept, Size: size, From: name})
		}
	}
	return moves, t.Write(path.Join(to, ManifestFile), stands.write)
}

// alreadyKept reports whether the folder holds the checkpoint of m. Something else there, left by another run, is
// removed.
func (t *Txn) alreadyKept(folder string, m *Manifest) (bool, error) {
	if _, err := t.d.root.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if is, err := t.d.manifest(folder); err == nil {
		var a, b bytes.Buffer
		if is.write(&a) == nil && m.write(&b) == nil && bytes.Equal(a.Bytes(), b.Bytes()) {
			return true, nil
		}
	}
	return false, t.d.discard(folder)
}

// copy adds the file from of the directory to the transaction under another name.
func (t *Txn) copy(from, to string) error {
	f, err := t.d.root.Open(from)
	if err != nil {
		return t.fail(err)
	}
	defer f.Close()
	return t.Write(to, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
}

// link adds the file from of the directory to the transaction under another name: the same file, until the transaction
// replaces from. It reports whether that could be done.
func (t *Txn) link(from, to string, size int64) bool {
	pending := path.Join(pendingDir, to)
	if cmp.Or(t.d.mkdirAll(path.Dir(pending)), t.d.root.Link(from, pending)) != nil {
		return false
	}
	t.files = append(t.files, &file{t: t, name: to, size: size})
	return true
}

// discard removes a folder by way of the pending files, so that a crash or a power cut leaves the whole of it or
// nothing.
func (d *runDir) discard(folder string) error {
	gone := path.Join(pendingDir, ".gone-"+path.Base(folder))
	if err := d.mkdirAll(pendingDir); err != nil {
		return err
	}
	if err := d.removeAll(gone); err != nil {
		return err
	}
	if err := cmp.Or(d.root.Rename(folder, gone), d.root.SyncFolder(path.Dir(folder))); err != nil {
		return err
	}
	return d.removeAll(gone)
}

// prune removes kept checkpoints: all but the newest n-1, and the ones of later steps than now. What it cannot remove
// is left to the next commit.
func (k *keeping) prune(d *runDir, now int) {
	steps, _ := d.kept()
	left := k.n - 1
	for _, step := range steps {
		if step == k.hold && step < now {
			continue
		}
		if step < now && left > 0 {
			left--
			continue
		}
		d.discard(KeptName(step))
	}
	if len(steps) > 0 {
		d.root.Remove(KeptDir) // if it is empty
	}
	d.removeAll(pendingDir)
}

// Copy adds to the transaction, as the file to, a copy of the file from in the directory.
func (t *Txn) Copy(from, to string) error {
	if t.d == nil {
		return fmt.Errorf("checkpoint: copy %s: %w", from, fs.ErrClosed)
	}
	return t.copy(from, to)
}

// Fill lets fill write files into a new folder, and adds them to the transaction under their names there: for writers
// that take a folder, such as a tokenizer. Names that begin with a dot are left out.
func (t *Txn) Fill(fill func(dir string) error) error {
	const scratch = pendingDir + "/.fill"
	if t.d == nil {
		return fmt.Errorf("checkpoint: fill a folder: %w", fs.ErrClosed)
	}
	if err := t.d.mkdirAll(scratch); err != nil {
		return t.fail(err)
	}
	if err := fill(filepath.Join(t.d.path, filepath.FromSlash(scratch))); err != nil {
		return err
	}
	err := fs.WalkDir(t.d.root.FS(), scratch, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		return t.copy(name, strings.TrimPrefix(name, scratch+"/"))
	})
	if err != nil {
		return t.fail(err)
	}
	return t.d.removeAll(scratch)
}
