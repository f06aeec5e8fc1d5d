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
)

// entry is one file of a transaction in the journal.
type entry struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

type journal struct {
	Version int     `json:"version"`
	Files   []entry `json:"files"`
}

const (
	journalVersion = 1
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
// two checkpoints.
func Settle(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, journalFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := Lock(dir)
	if errors.Is(err, ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	return Recover(dir)
}

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
	var moves []string
	for _, e := range entries {
		st, err := d.root.Lstat(path.Join(pendingDir, e.Name))
		if err == nil {
			moves = append(moves, e.Name)
		} else if errors.Is(err, fs.ErrNotExist) {
			st, err = d.root.Lstat(e.Name) // already moved before the interruption
		}
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() || st.Size() != e.Size {
			return fmt.Errorf("%s is not the file of %d bytes that the journal lists", e.Name, e.Size)
		}
	}
	for _, name := range moves {
		if err := d.rename(path.Join(pendingDir, name), name); err != nil {
			return err
		}
	}
	for _, dir := range parents(entries) {
		if err := d.sync(dir); err != nil {
			return err
		}
	}
	if err := d.remove(journalFile); err != nil {
		return err
	}
	if err := d.sync("."); err != nil {
		return err
	}
	return d.removeAll(pendingDir)
}

// writeJournal makes the journal appear whole, in one rename.
func (d *runDir) writeJournal(entries []entry) error {
	text, err := json.Marshal(journal{journalVersion, entries})
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
	_, err = d.write(f, tmp, text)
	if err == nil {
		err = d.syncFile(f, tmp)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return d.rename(tmp, journalFile)
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
	if j.Version != journalVersion {
		return nil, fmt.Errorf("%s has version %d, this program knows %d", journalFile, j.Version, journalVersion)
	}
	seen := map[string]bool{}
	for _, e := range j.Files {
		if err := checkName(e.Name); err != nil {
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
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("text after the JSON value")
	}
	return nil
}
