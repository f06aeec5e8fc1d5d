package train

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
)

const seedSetting = "loop.seed"

// edited tells that a file that people edit is not as it was written. One that is missing is put back, if the run has a
// copy of it.
func (r *Run) edited(m *checkpoint.Manifest, name string) error {
	err := m.Compare(r.Dir, name)
	var changed *checkpoint.DamagedError
	if !errors.As(err, &changed) {
		return err
	}
	if !changed.Missing {
		note, err := changed.Note(), error(nil)
		if name == configFile {
			note, err = r.edits(m, changed)
		}
		r.held.note(note)
		return err
	}
	damage, err := r.mend(m, []string{name})
	if damage != nil {
		r.held.note(fmt.Sprintf("%s is missing, and the run has no copy of it.", filepath.Join(r.Dir, filepath.FromSlash(name))))
	}
	return err
}

// edits is a note for the user of what was edited in the settings, if changed is what became of their file. What cannot
// change while a run goes on is a ChangeError, as far as other checkpoints of the run have settings to compare with.
func (r *Run) edits(m *checkpoint.Manifest, changed *checkpoint.DamagedError) (note string, err error) {
	was, err := r.former(m)
	if err != nil {
		return "", err
	}
	if was == nil {
		return changed.Note() + " No checkpoint tells what it said before.", nil
	}
	if err := Unchanged(was, r.Task); err != nil {
		return "", r.notAsItWas(err)
	}
	var list []string
	for _, c := range differences(reflect.ValueOf(was.Config()).Elem(), reflect.ValueOf(r.Task.Config()).Elem(), "", true) {
		list = append(list, fmt.Sprintf("%s is %v and was %v", c.Setting, shown(c.To), shown(c.From)))
	}
	if len(list) == 0 {
		list = []string{"its settings are the same"}
	}
	return fmt.Sprintf("%s was edited, and is used as it is: %s.", filepath.Join(r.Dir, configFile), strings.Join(list, ", ")), nil
}

// notAsItWas is err, of a setting that cannot change, for a file that was edited.
func (r *Run) notAsItWas(err error) error {
	return fmt.Errorf("train: %s was edited: %w; put it back to go on with this run", filepath.Join(r.Dir, configFile), err)
}

// former is a task with the settings that the run wrote, as m lists them, if one of its other checkpoints has them;
// else nil.
func (r *Run) former(m *checkpoint.Manifest) (Task, error) {
	twin, err := Twin(r.Dir, configFile, m.Files[configFile])
	if twin == "" || err != nil {
		return nil, err
	}
	t, err := ReadRun(filepath.Join(r.Dir, filepath.FromSlash(twin)))
	if err != nil {
		return nil, err
	}
	return t, nil
}

// settingsEdited is a note of what was edited in the settings, or empty (see edits).
func (r *Run) settingsEdited() (note string, err error) {
	m, err := checkpoint.ReadManifest(r.Dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, checkpoint.ErrDamaged) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if _, listed := m.Files[configFile]; !listed {
		return "", nil
	}
	err = m.Compare(r.Dir, configFile)
	var changed *checkpoint.DamagedError
	if !errors.As(err, &changed) || changed.Missing {
		return "", err
	}
	return r.edits(m, changed)
}

// sameSeed fails if a run with state st has another seed in its settings: somebody edited them.
func (r *Run) sameSeed(st checkpoint.State) error {
	if is := r.Common().Loop.Seed; st.Step > 0 && st.Seed != is {
		return r.notAsItWas(&ChangeError{seedSetting, st.Seed, is})
	}
	return nil
}
