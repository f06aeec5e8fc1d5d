package train

import (
	"fmt"
	"path/filepath"

	"github.com/bdia-go/bdia/convert"
)

// UpdateError is the error of updates in the reverse walk together with what can be done only after it.
type UpdateError struct {
	Clip         float64 // largest norm, if above 0
	MicroBatches int     // over which gradients add up
}

// Error says what excludes updates in the reverse walk.
func (e *UpdateError) Error() string {
	if e.Clip > 0 {
		return fmt.Sprintf("train: %v: updating in the reverse walk and clipping by global norm, which is known only after it; update at the end of the step, or do not clip", ErrCombination)
	}
	return fmt.Sprintf("train: %v: updating in the reverse walk and accumulating %d micro-batches; update at the end of the step, or take the whole batch at once",
		ErrCombination, e.MicroBatches)
}

// Unwrap makes errors.Is(err, ErrCombination) true.
func (e *UpdateError) Unwrap() error { return ErrCombination }

// StateError is the error of a checkpoint that other settings of the optimiser have written.
type StateError struct {
	Path    string
	Setting string // "optimizer", "state_bits", "table_bits" or "ema"
	Was, Is string // in the checkpoint, and in the settings; of ema "true" or "false"
}

// Error says what the checkpoint holds.
func (e *StateError) Error() string {
	switch e.Setting {
	case stateBitsKey:
		return fmt.Sprintf("train: %s: %v: it holds optimiser states of %s bits, not of %s; go on with the former, or start a new run", e.Path, convert.ErrMismatch, e.Was, e.Is)
	case tableBitsKey:
		return fmt.Sprintf("train: %s: %v: it holds optimiser states of %s bits for tables, not of %s; go on with the former, or start a new run", e.Path, convert.ErrMismatch, e.Was, e.Is)
	case optimizerKey:
		return fmt.Sprintf("train: %s: %v: it holds the state of optimiser %q, not of %q; go on with the former, or start a new run", e.Path, convert.ErrMismatch, e.Was, e.Is)
	}
	if e.Was == "false" {
		return fmt.Sprintf("train: %s: %v: averages of the weights cannot begin later, and %s, with the weights that are averaged, is not there; set the decay of the averages back to 0 if the run began without, else put the file back",
			e.Path, convert.ErrMismatch, trainedFile)
	}
	return fmt.Sprintf("train: %s: %v: the weights of this run are averaged, with a decay that its settings no longer have; put it back", e.Path, convert.ErrMismatch)
}

// Unwrap makes errors.Is(err, convert.ErrMismatch) true.
func (e *StateError) Unwrap() error { return convert.ErrMismatch }

// InRunError is the error of Open for the folder of a checkpoint in a run directory.
type InRunError struct {
	Dir  string // of the checkpoint
	Run  string // the run directory
	Data bool   // the run has data in its folder
}

// Error names the run directory, and says how an older checkpoint becomes a run of its own.
func (e *InRunError) Error() string {
	if filepath.Base(e.Dir) == bestDir {
		return fmt.Sprintf("train: %s has the best weights of a run; name the run directory, %s", e.Dir, e.Run)
	}
	text := fmt.Sprintf("train: %s is an older checkpoint of a run; name the run directory, %s, which goes on from its latest; to go on from the older one, copy its folder to a new place", e.Dir, e.Run)
	if e.Data {
		text += ", and " + filepath.Join(e.Run, dataDir) + " into it"
	}
	return text
}

// SettingsError is the error of a replay of a step that was done with other settings.
type SettingsError struct {
	Step  int
	Until int // the last step that was done with them
}

// Error says which steps the settings do not fit.
func (e *SettingsError) Error() string {
	return fmt.Sprintf("train: step %d cannot be replayed: settings that numbers depend on, such as batch, clipping, dropout or precision, were changed after step %d; put back the ones of that time",
		e.Step, e.Until)
}

// RateError is the error of a replay of a run with settings that have changed since, such as the number of steps.
type RateError struct {
	Step    int
	Was, Is float64 // its learning rate: as recorded, and by the settings
}

// Error says which step the settings do not fit.
func (e *RateError) Error() string {
	return fmt.Sprintf("train: the settings have changed since step %d, which had a learning rate of %v and would have %v now, so it cannot be replayed; put back the schedule of that time, such as its number of steps",
		e.Step, e.Was, e.Is)
}
