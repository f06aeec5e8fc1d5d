package train

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/disk"
)

// Mend is the method Mend of the run in dir, for one that Open refuses since it is damaged.
func Mend(dir string) (notes []string, err error) {
	t, _, err := readTask(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	return (&Run{Dir: dir, Task: t}).Mend()
}

// Mend does what Train does before its first step: it compares the latest checkpoint with its manifest, and mends it
// if it is damaged. A file that another checkpoint of the run has with the same bytes is put back; otherwise the newest
// older checkpoint that is whole becomes the latest, and State is the older one. The notes say what was done. A run
// that is whole has none, and is not written. Mend fails with a checkpoint.DamagedError if nothing helps, and with
// checkpoint.ErrLocked for a damaged run that is being trained.
func (r *Run) Mend() (notes []string, err error) {
	err = checkpoint.Read(r.Dir, r.damage)
	if !errors.Is(err, checkpoint.ErrDamaged) && !errors.Is(err, ErrNoState) {
		return nil, err
	}
	end, err := r.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	return r.held.fixed, nil
}

// damage compares the latest checkpoint with its manifest, if it has one. Files that people edit have only to be there.
func (r *Run) damage() error {
	m, err := checkpoint.ReadManifest(r.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return noState(r.Dir)
	}
	if err != nil {
		return err
	}
	var names []string
	for _, name := range m.Names() {
		_, err := os.Lstat(filepath.Join(r.Dir, filepath.FromSlash(name)))
		if checkpoint.Editable(name) && errors.Is(err, fs.ErrNotExist) || !checkpoint.Editable(name) && !stays(name) {
			names = append(names, name)
		}
	}
	return cmp.Or(noState(r.Dir), compareAll(m, r.Dir, names), listsState(m, r.Dir))
}

// mend compares files of the latest checkpoint with m, its manifest, and puts back the damaged ones, if the run has a
// copy of each. Otherwise nothing changes, and damage is the first of them.
func (r *Run) mend(m *checkpoint.Manifest, names []string) (damage, err error) {
	copies := map[string]string{} // by the name of the damaged file
	var texts []string
	for i, bad := range compareEach(m, r.Dir, names) {
		if bad == nil {
			continue
		}
		if !errors.Is(bad, checkpoint.ErrDamaged) { // it may be whole
			return nil, bad
		}
		twin, err := Twin(r.Dir, names[i], m.Files[names[i]])
		if err != nil {
			return nil, err
		}
		if twin == "" {
			return bad, nil
		}
		copies[names[i]] = twin
		texts = append(texts, fmt.Sprintf("%v. %s is a copy of it with the right bytes, and was put in its place.", found(bad), twin))
	}
	if len(copies) == 0 {
		return nil, nil
	}
	if err := r.aside(slices.Collect(maps.Keys(copies))...); err != nil {
		return nil, err
	}
	err = r.held.Save(func(t *checkpoint.Txn) error {
		for _, name := range slices.Sorted(maps.Keys(copies)) {
			if err := t.Copy(copies[name], name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		r.held.fix(text)
	}
	return compareAll(m, r.Dir, names), nil
}

// aside moves folders out of the way of the run's files with these names, and says where they are.
func (r *Run) aside(names ...string) error {
	for _, name := range names {
		path := filepath.Join(r.Dir, filepath.FromSlash(name))
		if info, err := os.Lstat(path); err != nil || !info.IsDir() {
			continue
		}
		to := path + ".folder"
		for n := 2; ; n++ {
			if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
				break
			}
			to = fmt.Sprintf("%s.folder-%d", path, n)
		}
		if err := disk.Rename(path, to); err != nil {
			return fmt.Errorf("train: %w", err)
		}
		r.held.fix(fmt.Sprintf("The folder in the place of %s is now %s.", path, filepath.Base(to)))
	}
	return nil
}

// reread takes care of what the task has read before the folder was held. The settings have to be the same still. After
// a file was mended, the tokenizer, say, and the data are read again.
func (r *Run) reread() error {
	if err := r.sameSettings(); err != nil || r.settings == nil || len(r.held.fixed) == 0 {
		return err
	}
	return cmp.Or(r.Task.Close(), r.Task.Reopen(r.Dir))
}

// sameSettings fails if another process has changed bdia.yaml since this one read or wrote it.
func (r *Run) sameSettings() error {
	if r.settings == nil { // nothing was read
		return nil
	}
	text, err := readOwn(filepath.Join(r.Dir, configFile))
	if err == nil && !bytes.Equal(text, r.settings) {
		return fmt.Errorf("train: %s: %w: %s is not what it was when this process read it; open the run again", r.Dir, checkpoint.ErrOther, configFile)
	}
	if errors.Is(err, fs.ErrNotExist) { // edited tells
		return nil
	}
	return err
}

// OtherCheckpoints lists the slash-separated names of the folders in a run directory that may have a checkpoint beside
// the latest: "best" first, then the older ones that are kept, newest first.
func OtherCheckpoints(dir string) ([]string, error) {
	steps, err := checkpoint.Kept(dir)
	folders := []string{bestDir}
	for _, step := range steps {
		folders = append(folders, checkpoint.KeptName(step))
	}
	return folders, err
}

// Twin is the slash-separated name of a file of another checkpoint of the run in dir, the best or an older one, that
// has the given bytes; empty: there is none. Name is the file's name in a checkpoint.
func Twin(dir, name string, want checkpoint.Sum) (string, error) {
	folders, err := OtherCheckpoints(dir)
	if err != nil {
		return "", err
	}
	for _, folder := range folders {
		path := filepath.Join(dir, filepath.FromSlash(folder), filepath.FromSlash(name))
		if info, err := os.Stat(path); err != nil || info.Size() != want.Size {
			continue
		}
		switch sum, err := checkpoint.SumFile(path); {
		case checkpoint.Shut(err):
			return "", fmt.Errorf("train: a copy of %s: %w", name, err)
		case err == nil && sum == want:
			return folder + "/" + name, nil
		}
	}
	return "", nil
}
