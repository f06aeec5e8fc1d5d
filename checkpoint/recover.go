package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/bdia-go/bdia/internal/textfile"
)

// entry is one file of a transaction in the journal.
type entry struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	From string `json:"from,omitempty"` // the name of the file that moves there; empty: it is a pending file
}

type journal struct {
	Version int     `json:"version"`
	Files   []entry `json:"files"`
}

const (
	journalVersion = 1 // of a journal without moves
	movesVersion   = 2
	maxJournal     = 1 << 20 // bytes
)

// Recover cleans up after an interrupted transaction in dir: with a journal it
// puts the pending files in place, without one it deletes them. It may itself
// be interrupted and repeated. It writes nothing if nothing is left over or dir
// does not exist. The caller must hold the directory's Lock, since the pending
// files of a running trainer look the same; to read only, call Settle.
func Recover(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d, err := openDir(dir)
	if err != nil {
		return err
	}
	defer d.close()
	return d.recover()
}

// Settle is Recover for readers, without the Lock. If a trainer died while it
// put a committed checkpoint in place, Settle finishes that; otherwise, or
// while a trainer holds the Lock, it changes nothing. If a running trainer
// commits meanwhile, files that are opened one after the other may belong to
// two checkpoints. In a folder that cannot be written it fails with an
// UnsettledError.
func Settle(dir string) error {
	unsettled := func() bool {
		_, err := os.Lstat(filepath.Join(dir, journalFile))
		return !errors.Is(err, fs.ErrNotExist)
	}
	if !unsettled() {
		return nil
	}
	unlock, err := Lock(dir)
	switch {
	case errors.Is(err, ErrLocked):
		return nil
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		if beingWritten(dir) || !unsettled() {
			return nil
		}
		return &UnsettledError{Dir: dir, Err: err}
	case err != nil:
		return err
	}
	defer unlock()
	return Recover(dir)
}

// beingWritten reports whether a process holds the lock of a directory that this one cannot write.
func beingWritten(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if err != nil {
		return false
	}
	defer f.Close()
	defer dropLock(f)
	return errors.Is(shareLock(f), ErrLocked)
}

// UnsettledError is the error of a directory in which a trainer died while it put a checkpoint in place, and which
// cannot be written. Its files may belong to two checkpoints.
type UnsettledError struct {
	Dir string
	Err error // why it cannot be written
}

// Error says what to do.
func (e *UnsettledError) Error() string {
	return fmt.Sprintf("checkpoint: %s: an interrupted save has to be finished before the files are read, and they cannot be written (%v); "+
		"open it once with the right to write, or copy it to where it can be written and open the copy", e.Dir, bare(e.Err))
}

// Unwrap returns Err.
func (e *UnsettledError) Unwrap() error { return e.Err }

func (d *runDir) recover() error {
	entries, err := d.readJournal()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := d.removeAll(pendingDir); err != nil {
			return fmt.Errorf("checkpoint: %s: remove unfinished files: %w", d.path, bare(err))
		}
		return nil
	case err == nil:
		err = d.finish(entries)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %s: cannot finish an interrupted save: %w; "+
			"mend that and try again, or remove %s and %s to keep the files as they are", d.path, bare(err), journalFile, pendingDir)
	}
	return nil
}

// finish puts the journal's files in place: step 3 of the package comment. It
// checks all files before it moves the first.
func (d *runDir) finish(entries []entry) error {
	var keep, place []entry // what is still to do
	for _, e := range entries {
		from := path.Join(pendingDir, e.Name)
		if e.From != "" {
			// The file may have been replaced since it moved, so its new place decides.
			if st, err := d.root.Lstat(e.Name); err == nil && st.Mode().IsRegular() && st.Size() == e.Size {
				continue
			}
			from = e.From
		}
		st, err := d.root.Lstat(from)
		switch {
		case err == nil && e.From != "":
			keep = append(keep, e)
		case err == nil:
			place = append(place, entry{Name: e.Name, From: from})
		case errors.Is(err, fs.ErrNotExist):
			st, err = d.root.Lstat(e.Name) // already moved before the interruption
		}
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() || st.Size() != e.Size {
			return fmt.Errorf("%s is not the file of %d bytes that the journal lists", e.Name, e.Size)
		}
	}
	// All folders are synced, also those of files that an interrupted process moved.
	moved := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.From == "" })
	if len(moved) > 0 {
		if err := d.move(keep, moved); err != nil {
			return err
		}
	}
	if err := d.move(place, entries); err != nil {
		return err
	}
	if err := d.root.Remove(journalFile); err != nil {
		return err
	}
	if err := d.root.SyncFolder("."); err != nil {
		return err
	}
	return d.removeAll(pendingDir)
}

// move renames files, then makes the names in the folders of all entries durable. A folder that is missing, since an
// earlier version did not make it durable, is made again.
func (d *runDir) move(files, all []entry) error {
	for _, e := range files {
		if err := d.mkdirAll(path.Dir(e.Name)); err != nil {
			return err
		}
		if err := d.root.Rename(e.From, e.Name); err != nil {
			return err
		}
	}
	for _, dir := range parents(all) {
		if err := d.root.SyncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// writeJournal makes the journal appear whole, in one rename.
func (d *runDir) writeJournal(entries []entry) error {
	version := journalVersion
	if slices.ContainsFunc(entries, func(e entry) bool { return e.From != "" }) {
		version = movesVersion // which an older program refuses
	}
	text, err := json.Marshal(journal{version, entries})
	if err != nil {
		return err
	}
	if len(text) > maxJournal {
		return fmt.Errorf("%d files are too many for one checkpoint", len(entries))
	}
	tmp := path.Join(pendingDir, journalFile)
	f, err := d.create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return d.root.Rename(tmp, journalFile)
}

func (d *runDir) readJournal() ([]entry, error) {
	f, err := d.root.Open(journalFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxJournal+1))
	if err != nil {
		return nil, err
	}
	return parseJournal(text)
}

func parseJournal(text []byte) ([]entry, error) {
	if len(text) > maxJournal {
		return nil, fmt.Errorf("%s is longer than %d bytes", journalFile, maxJournal)
	}
	var j journal
	if err := decodeStrict(text, &j); err != nil {
		return nil, fmt.Errorf("%s: %w", journalFile, err)
	}
	if j.Version < journalVersion || j.Version > movesVersion {
		return nil, fmt.Errorf("%s has version %d, this program knows %d to %d", journalFile, j.Version, journalVersion, movesVersion)
	}
	seen := map[string]bool{}
	for _, e := range j.Files {
		err := checkName(e.Name)
		if err == nil && e.From != "" {
			err = checkName(e.From)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", journalFile, err)
		}
		if e.Size < 0 || seen[e.Name] {
			return nil, fmt.Errorf("%s: bad entry for %s", journalFile, e.Name)
		}
		seen[e.Name] = true
	}
	return j.Files, nil
}

// decodeStrict is json.Unmarshal, but unknown keys and trailing text are
// errors.
func decodeStrict(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return textfile.Brief(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("text after the JSON value")
	}
	return nil
}
