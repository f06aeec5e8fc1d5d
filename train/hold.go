package train

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/bdia-go/bdia/checkpoint"
)

// Where a run's data are, in its folder.
const dataDir = "data"

// held is what a process knows of the folder of a run that it trains.
type held struct {
	*checkpoint.Folder
	data  *checkpoint.Check         // of the files that no checkpoint writes; nil: none is listed
	ended chan error                // has the result of data when there is one; nil: no data are compared
	sums  map[string]checkpoint.Sum // of files that no checkpoint writes, if there is no manifest yet
	notes []string                  // for the user
	fixed []string                  // of notes, those of what was damaged and is mended
	whole bool                      // the latest checkpoint was compared with its manifest, and not yet read
}

// begin takes the folder of the run, sees whether its checkpoint is whole, and reads the state: another process may
// have trained since the run was opened, or an earlier Train failed after its latest checkpoint. If the checkpoint is
// damaged it puts an older one in its place. It fails before the first step if no checkpoint could be written. A run
// without a folder begins at the beginning.
func (r *Run) begin() (end func(), err error) {
	if r.Dir == "" {
		r.State = firstState(*r.Common())
		return func() {}, nil
	}
	folder, err := checkpoint.Hold(r.Dir)
	if err != nil {
		return nil, err
	}
	r.held = &held{Folder: folder}
	end = func() {
		r.held.data.Stop()
		r.held = nil
		folder.Close()
	}
	r.held.note(folder.Note())
	r.held.note(r.edit)
	r.edit = ""
	err = cmp.Or(clean(r.Dir), r.examine(), r.aside(bestFiles(r.Dir)...), folder.Inside(r.copied()...), folder.Rehearse(".", "state", bestDir, checkpoint.KeptDir))
	if err == nil {
		err = cmp.Or(r.sameSeed(r.State), r.samePrecision(r.State, *r.Common()), r.reread())
	}
	if err != nil {
		end()
		return nil, err
	}
	if r.State.Step > 0 {
		folder.Prune(r.Common().Loop.Keep, r.State.Planned)
	}
	return end, nil
}

// bestFiles lists the files of the best weights of the run in dir.
func bestFiles(dir string) []string {
	names := []string{checkpoint.ManifestFile, "model.safetensors"}
	if m, err := checkpoint.ReadManifest(filepath.Join(dir, bestDir)); err == nil {
		names = append(names, m.Names()...)
	}
	for i, name := range names {
		names[i] = bestDir + "/" + name
	}
	return names
}

// copied lists the files that checkpoints copy within the folder: what the manifest has beside weights, state and data.
func (r *Run) copied() []string {
	m, err := checkpoint.ReadManifest(r.Dir)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(m.Names(), func(name string) bool {
		return stays(name) || strings.HasPrefix(name, "state/") || strings.HasSuffix(name, ".safetensors")
	})
}

// note keeps a text for the user.
func (h *held) note(text string) {
	if text != "" {
		h.notes = append(h.notes, text)
	}
}

// fix keeps a text on damage and how it was mended.
func (h *held) fix(text string) {
	h.note(text)
	h.fixed = append(h.fixed, text)
}

// tell tells obs what was noted.
func (r *Run) tell(obs Observer) {
	if r.held == nil {
		return
	}
	for _, text := range r.held.notes {
		obs.Note(text)
	}
	r.held.notes = nil
}

// examine compares the files of the run with its manifest, those of the checkpoint at once and the data in the
// background, and reads the state.
func (r *Run) examine() (err error) {
	m, err := checkpoint.ReadManifest(r.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := noState(r.Dir); err != nil {
			return r.fallBack(err, nil)
		}
		if r.State, err = readState(r.Dir, *r.Common()); err == nil && r.State.Step > 0 {
			r.held.note(unlisted(r.Dir, r.State))
		}
		return err
	case errors.Is(err, checkpoint.ErrDamaged):
		return r.fallBack(err, nil)
	case err != nil:
		return err
	}
	var now, later []string
	for _, name := range m.Names() {
		switch {
		case checkpoint.Editable(name):
			if err := r.edited(m, name); err != nil {
				return err
			}
		case isData(name):
			later = append(later, name)
		default:
			now = append(now, name)
		}
	}
	damage, err := r.mend(m, now)
	if err != nil {
		return err
	}
	damage = cmp.Or(noState(r.Dir), damage)
	if damage == nil {
		damage = listsState(m, r.Dir)
	}
	switch {
	case errors.Is(damage, checkpoint.ErrDamaged), errors.Is(damage, ErrNoState):
		err = r.fallBack(damage, m)
	case damage != nil: // a state of another version
		err = damage
	default:
		r.State, err = readState(r.Dir, *r.Common())
	}
	if err != nil {
		return err
	}
	r.held.whole = true
	if len(later) > 0 {
		data, ended := m.Check(r.Dir, later...), make(chan error, 1)
		r.held.data, r.held.ended = data, ended
		go func() { ended <- data.Wait() }()
	}
	return nil
}

// unlisted says of a run with state st that its manifest is not there. An earlier version wrote none, and no places of
// records either.
func unlisted(dir string, st checkpoint.State) string {
	why := "an earlier version wrote it"
	if st.Records != nil {
		why = "the file is missing"
	}
	return fmt.Sprintf("%s has no %s: %s, so that its files cannot be compared with what was written. The next checkpoint adds it.",
		dir, checkpoint.ManifestFile, why)
}

// polluted fails if the data are known to be damaged. It does not wait for the comparison.
func (r *Run) polluted() error {
	if r.held == nil {
		return nil
	}
	select {
	case err := <-r.held.ended:
		return unsaved(err)
	default:
		return nil
	}
}

// unsaved says what err, of the data, means for a run; nil stays nil.
func unsaved(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("train: what the run has learned since the latest checkpoint is not saved: %w", err)
}

// whole fails if the checkpoint to load, which a run goes back to, is not as it was written. One that begin has just
// compared is not read again.
func (r *Run) whole() error {
	if r.held != nil && r.held.whole {
		r.held.whole = false
		return nil
	}
	m, err := checkpoint.ReadManifest(r.Dir)
	if errors.Is(err, fs.ErrNotExist) { // an earlier version's
		return nil
	}
	if err != nil {
		return err
	}
	var names []string
	for _, name := range m.Names() {
		if !stays(name) && !checkpoint.Editable(name) {
			names = append(names, name)
		}
	}
	return compareAll(m, r.Dir, names)
}

// compareAll compares files with their manifest, several at a time.
func compareAll(m *checkpoint.Manifest, dir string, names []string) error {
	return cmp.Or(compareEach(m, dir, names)...)
}

// compareEach is compareAll with an error, or nil, for each file.
func compareEach(m *checkpoint.Manifest, dir string, names []string) []error {
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { errs[i] = m.Compare(dir, name) })
	}
	all.Wait()
	return errs
}

// listsState fails if m has no state, or the state is of another step, and dir has one.
func listsState(m *checkpoint.Manifest, dir string) error {
	st, err := checkpoint.ReadState(filepath.Join(dir, filepath.FromSlash(checkpoint.StateFile)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, ok := m.Files[checkpoint.StateFile]; !ok || st.Step != m.Step {
		return &checkpoint.DamagedError{Dir: dir, File: checkpoint.ManifestFile, Step: st.Step, Reason: fmt.Sprintf("is of step %d and not of the same checkpoint as %s", m.Step, checkpoint.StateFile)}
	}
	return nil
}

// fallBack puts the newest older checkpoint that is whole in the place of the latest, which is damaged, and reads its
// state. Sums of data are carried on from m, the manifest of the damaged one, if it could be read.
func (r *Run) fallBack(damage error, m *checkpoint.Manifest) error {
	steps, err := checkpoint.Kept(r.Dir)
	if err != nil {
		return err
	}
	for _, step := range steps {
		dir := filepath.Join(r.Dir, filepath.FromSlash(checkpoint.KeptName(step)))
		old, err := checkpoint.ReadManifest(dir)
		if err == nil {
			err = compareAll(old, dir, slices.DeleteFunc(old.Names(), checkpoint.Editable))
		}
		if err == nil {
			err = listsState(old, dir)
		}
		if checkpoint.Shut(err) {
			return err
		}
		if err != nil {
			r.held.fix(fmt.Sprintf("the checkpoint of step %d is no way out: %v", step, found(err)))
			continue
		}
		if err := r.restore(checkpoint.KeptName(step), old, m); err != nil {
			return err
		}
		if r.State, err = readState(r.Dir, *r.Common()); err != nil {
			return err
		}
		r.held.fix(fmt.Sprintf("%v. The run goes on from the checkpoint of step %d.", found(damage), old.Step))
		return nil
	}
	if errors.Is(damage, ErrNoState) {
		return damage
	}
	return fmt.Errorf("train: %w; %s has no older checkpoint that is whole", damage, r.Dir)
}

// found is what an error says of the damage, without the way out.
func found(err error) string {
	var damaged *checkpoint.DamagedError
	var lost *LostStateError
	switch {
	case errors.As(err, &damaged):
		return fmt.Sprintf("%s is damaged: it %s", filepath.Join(damaged.Dir, filepath.FromSlash(damaged.File)), damaged.Reason)
	case errors.As(err, &lost):
		return fmt.Sprintf("%s has %s and no %s", lost.Dir, lost.Found, checkpoint.StateFile)
	}
	return err.Error()
}

// restore makes a copy of the checkpoint of old, kept in folder, the run's latest. Settings and other files that people
// edit stay as they are in the run's folder, for they may be newer; the ones that are missing there are copied too.
func (r *Run) restore(folder string, old, damaged *checkpoint.Manifest) error {
	names := append(slices.DeleteFunc(old.Names(), func(name string) bool { return !checkpoint.Editable(name) }), configFile)
	if damaged == nil {
		names = append(names, dataFiles(r.Dir)...)
	}
	others := map[string]checkpoint.Sum{}
	if err := sumInto(others, r.Dir, names); err != nil {
		return err
	}
	if damaged != nil {
		for name, sum := range damaged.Files {
			if _, there := others[name]; there || isData(name) {
				others[name] = sum
			}
		}
	}
	if err := r.aside(append(old.Names(), checkpoint.ManifestFile)...); err != nil {
		return err
	}
	return r.held.Save(func(t *checkpoint.Txn) error {
		for _, name := range old.Names() {
			from := folder + "/" + name
			_, err := os.Lstat(filepath.Join(r.Dir, filepath.FromSlash(from)))
			if _, there := others[name]; there || checkpoint.Editable(name) && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err := t.Copy(from, name); err != nil {
				return err
			}
		}
		t.Manifest("", old.Step, others)
		return nil
	})
}

// stays reports a file that belongs to the run and not to a checkpoint of it: settings and data.
func stays(name string) bool { return name == configFile || isData(name) }

// isData reports a file of a run's data.
func isData(name string) bool { return strings.HasPrefix(name, dataDir+"/") }

// dataFiles lists the files of a run's data.
func dataFiles(dir string) (names []string) {
	entries, _ := os.ReadDir(filepath.Join(dir, dataDir)) // a run of images has none
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, dataDir+"/"+e.Name())
		}
	}
	return names
}

// sumInto adds the sums of files below dir; one that is not there has none.
func sumInto(sums map[string]checkpoint.Sum, dir string, names []string) error {
	for _, name := range names {
		s, err := checkpoint.SumFile(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		sums[name] = s
	}
	return nil
}
