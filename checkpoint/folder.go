package checkpoint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
)

// Folder is a run directory that this process writes: locked, and open for as long as the run lasts. So checkpoints go
// to it also after somebody has renamed it.
type Folder struct {
	d        *runDir
	lock     *lock
	manifest []byte // as this process knows it; nil: there was none
}

// Hold locks dir, creating it if necessary, opens it and cleans up after an interrupted transaction (see Recover).
// Close it.
func Hold(dir string) (*Folder, error) {
	l, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	d, err := openDir(dir)
	if err != nil {
		l.release()
		return nil, err
	}
	d.held = true
	f := &Folder{d: d, lock: l}
	if err := cmp.Or(f.Inside(lockFile), d.recover()); err != nil {
		f.Close()
		return nil, err
	}
	if f.manifest, err = f.readManifest(); err != nil {
		f.Close()
		return nil, fmt.Errorf("checkpoint: %s: %w", dir, bare(err))
	}
	return f, nil
}

// Close unlocks the directory.
func (f *Folder) Close() {
	f.d.root.Close()
	f.lock.release()
}

// Note is what a user should know of the lock, or empty.
func (f *Folder) Note() string { return f.lock.note }

// readManifest returns the bytes of the manifest; nil: there is none, but a folder perhaps.
func (f *Folder) readManifest() ([]byte, error) {
	if info, err := f.d.root.Stat(ManifestFile); err == nil && info.IsDir() {
		return nil, nil
	}
	text, err := f.d.root.ReadFile(ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Manifest returns the manifest of the directory; without one it is fs.ErrNotExist.
func (f *Folder) Manifest() (*Manifest, error) { return f.d.manifest(".") }

// Names lists the names of the files that fill writes into a folder (see Txn.Fill), and keeps none of them.
func (f *Folder) Names(fill func(dir string) error) (names []string, err error) {
	t, err := begin(f.d)
	if err != nil {
		return nil, err
	}
	defer t.Abort()
	if err := t.Fill(fill); err != nil {
		return nil, err
	}
	for _, file := range t.files {
		names = append(names, file.name)
	}
	return names, nil
}

// ErrOther is wrapped by the error of Save for a directory that another process has written, although this one holds
// it: somebody removed the lock.
var ErrOther = errors.New("another process has written here")

// MovedError is the error of Save for a directory that is not at its path any more: somebody has renamed or removed it.
type MovedError struct {
	Path  string // its old path
	Now   string // its new path, if the system tells
	Saved bool   // the transaction was committed there
}

// Error names the folder with the checkpoint.
func (e *MovedError) Error() string {
	text := fmt.Sprintf("checkpoint: %s was moved or deleted while a process was writing it", e.Path)
	at := ""
	if e.Now != "" {
		at = ", " + e.Now
	}
	if e.Saved {
		return text + "; the checkpoint is saved in the folder at its new place" + at + ": go on there"
	}
	return text + "; the checkpoint could not be saved"
}

// Save is the function Save on the directory. It fails with a MovedError if the directory is not at its path any more,
// after it tried to save into it at its new place; and with ErrLocked or ErrOther if somebody removed the lock and
// another process is at work.
func (f *Folder) Save(write func(t *Txn) error) error {
	moved := f.moved()
	if err := f.alone(); err != nil {
		if moved != nil && !errors.Is(err, ErrLocked) && !errors.Is(err, ErrOther) {
			return moved
		}
		return err
	}
	t, err := begin(f.d)
	if err == nil {
		err = t.save(write)
	}
	// After an error too: the journal may have been written, and some of its files put in place.
	is, unread := f.readManifest()
	if unread == nil {
		f.manifest = is
	}
	if moved != nil {
		moved.Saved = err == nil
		return moved
	}
	return cmp.Or(err, unread)
}

// Prune does what a commit with Keep does at its end, which a crash may have cut short: it removes kept checkpoints,
// all but the newest n-1 and the one of step hold.
func (f *Folder) Prune(n, hold int) {
	if m, err := f.Manifest(); err == nil {
		(&keeping{n: n, hold: hold}).prune(f.d, m.Step)
	}
}

// alone fails if another process may write here. A lock file that was removed is made and locked again.
func (f *Folder) alone() error {
	if err := f.lock.again(f.d); err != nil {
		return err
	}
	is, err := f.readManifest()
	if err == nil && !bytes.Equal(is, f.manifest) {
		return fmt.Errorf("checkpoint: %s: %w while this one held it: %s is not what it was; was %s removed? Nothing was saved over it",
			f.d.path, ErrOther, ManifestFile, lockFile)
	}
	return err
}

// moved reports that the directory is not at its path, or returns nil.
func (f *Folder) moved() *MovedError {
	is, err := f.d.root.Stat(".")
	at, aterr := os.Stat(f.d.path)
	if err == nil && aterr == nil && os.SameFile(is, at) {
		return nil
	}
	e := &MovedError{Path: f.d.path}
	if dir, err := f.d.root.Open("."); err == nil {
		e.Now, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
		dir.Close()
	}
	return e
}

// Rehearse writes, renames and removes a small file in each of the named folders, "." for the directory itself, so that
// a place where no checkpoint can be written is found before there is one to write.
func (f *Folder) Rehearse(folders ...string) error {
	if moved := f.moved(); moved != nil {
		return moved
	}
	for _, folder := range slices.Compact(folders) {
		if err := f.d.rehearse(folder); err != nil {
			return fmt.Errorf("checkpoint: no checkpoint could be written into %s: %w", path.Join(f.d.path, folder), bare(err))
		}
	}
	return nil
}

func (d *runDir) rehearse(folder string) (err error) {
	if err := cmp.Or(d.mkdirAll(pendingDir), d.mkdirAll(folder)); err != nil {
		return err
	}
	probe, there := path.Join(pendingDir, "probe"), path.Join(folder, ".probe")
	defer func() {
		if folder != "." {
			d.root.Remove(folder) // if it is empty: made here, or by a rehearsal that was cut short
		}
		err = cmp.Or(err, d.removeAll(pendingDir))
	}()
	out, err := d.create(probe)
	if err != nil {
		return err
	}
	_, err = out.Write([]byte("probe\n"))
	if err = cmp.Or(err, out.Close()); err != nil {
		return err
	}
	if err := d.root.Rename(probe, there); err != nil {
		return err
	}
	return d.root.Remove(there)
}
