package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/bdia-go/bdia/internal/recordfile"
	"github.com/bdia-go/bdia/internal/textfile"
)

// StateVersion is the version that WriteState writes and ReadState accepts.
const StateVersion = 1

// StateFile is the state's name in a run directory.
const StateFile = "state/state.json"

// ErrVersion is wrapped by ReadState's error for a version it does not know.
var ErrVersion = errors.New("unknown version")

const maxState = 1 << 20 // bytes

// State is the rest of a run's state, besides weights and optimiser. Random numbers
// are keyed by seed and step, so there is no generator state to save.
type State struct {
	Version  int     `json:"version"`   // StateVersion
	Step     int     `json:"step"`      // optimiser steps done
	Tokens   int64   `json:"tokens"`    // tokens or samples seen
	BestLoss float64 `json:"best_loss"` // validation loss of the best evaluation; +Inf before the first, null in the file
	BestStep int     `json:"best_step"` // step of the best evaluation
	BadEvals int     `json:"bad_evals"` // evaluations since then
	Elapsed  float64 `json:"elapsed"`   // seconds of training
	Seed     uint64  `json:"seed"`

	// EvalDue says that the evaluation after Step was interrupted and must be done
	// on resuming.
	EvalDue bool `json:"eval_due,omitempty"`
	// BestAccuracy is the validation accuracy of the best evaluation, for tasks
	// that measure it.
	BestAccuracy float64 `json:"best_accuracy,omitempty"`

	// Window is what the next record of the training loss is the mean of, so far.
	Window Window `json:"window,omitzero"`
	// Records says for each file of records how far it had come, by its slash-separated name in the run directory.
	// Resuming cuts the file to that and goes on. Without it, as in an old run, the steps in the records decide.
	Records map[string]RecordMark `json:"records,omitempty"`

	// Planned is the step of the latest checkpoint that the settings asked for, and not a signal or a clock: a run that
	// rewinds goes back to it, so that an interrupted run goes back as far as any other.
	Planned int `json:"planned,omitempty"`
	// Skipped counts steps left out since they diverged, SkippedInRow the latest of them, and Rewinds how often the run
	// went back to a checkpoint. Each rewind halves the learning rate.
	Skipped      int `json:"skipped,omitempty"`
	SkippedInRow int `json:"skipped_in_row,omitempty"`
	Rewinds      int `json:"rewinds,omitempty"`

	// Courses say with what the steps were done, the first ones first. States of earlier versions are not known.
	Courses []Course `json:"courses,omitempty"`
}

// Course is with what the steps after one were done, up to the next course.
type Course struct {
	After    int    `json:"after"`    // the step
	Settings string `json:"settings"` // fingerprint of those that numbers depend on, without the schedule
	// Precision is the type that operands of matrix products were rounded to; empty: they were not, float32.
	Precision string `json:"precision,omitempty"`

	Kind    string  `json:"kind"` // of the schedule of learning rates
	LR      float64 `json:"lr"`
	Final   float64 `json:"final"`
	Warmup  int     `json:"warmup"`
	Steps   int     `json:"steps"`
	Rewinds int     `json:"rewinds,omitempty"` // each has halved the rate
}

// Window is the sum of the training losses of so many steps.
type Window struct {
	Steps  int     `json:"steps"`
	Losses float64 `json:"losses"`
}

// RecordMark is the size of a file of records in bytes, and the 128 bits of XXH3 of these bytes in hexadecimal digits.
type RecordMark = recordfile.Mark

// stateJSON is State with a BestLoss that may be null, since JSON has no infinity.
type stateJSON struct {
	State
	BestLoss *float64 `json:"best_loss"`
}

// Validate returns an error for the first impossible field.
func (s State) Validate() error {
	switch {
	case s.Step < 0, s.Tokens < 0, s.BestStep < 0, s.BadEvals < 0, s.Window.Steps < 0, s.Planned < 0,
		s.Skipped < 0, s.SkippedInRow < 0, s.Rewinds < 0:
		return fmt.Errorf("checkpoint: state: negative counter in %+v", s)
	case s.BestStep > s.Step:
		return fmt.Errorf("checkpoint: state: best_step %d is after step %d", s.BestStep, s.Step)
	case math.IsNaN(s.BestLoss), math.IsInf(s.BestLoss, -1):
		return fmt.Errorf("checkpoint: state: best_loss is %v", s.BestLoss)
	case !(s.BestAccuracy >= 0 && s.BestAccuracy <= 1):
		return fmt.Errorf("checkpoint: state: best_accuracy is %v", s.BestAccuracy)
	case s.Elapsed < 0, math.IsNaN(s.Elapsed), math.IsInf(s.Elapsed, 0):
		return fmt.Errorf("checkpoint: state: elapsed is %v", s.Elapsed)
	case math.IsNaN(s.Window.Losses), math.IsInf(s.Window.Losses, 0):
		return fmt.Errorf("checkpoint: state: the losses of the window are %v", s.Window.Losses)
	case s.Planned > s.Step:
		return fmt.Errorf("checkpoint: state: planned checkpoint %d is after step %d", s.Planned, s.Step)
	}
	for name, m := range s.Records {
		if m.Size < 0 {
			return fmt.Errorf("checkpoint: state: records %.80q of %d bytes", name, m.Size)
		}
	}
	return nil
}

// WriteState writes s as JSON, with Version set to StateVersion. The bytes depend
// only on s.
func WriteState(w io.Writer, s State) error {
	if err := s.Validate(); err != nil {
		return err
	}
	s.Version = StateVersion
	j := stateJSON{State: s}
	if !math.IsInf(s.BestLoss, 1) {
		j.BestLoss = &s.BestLoss
	}
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return fmt.Errorf("checkpoint: state: %w", err)
	}
	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("checkpoint: write state: %w", err)
	}
	return nil
}

// ReadState reads the state file at path and validates it. Unknown versions
// (ErrVersion) and unknown keys are errors.
func ReadState(path string) (State, error) {
	text, err := textfile.ReadFile(path, maxState)
	if err != nil {
		return State{}, fmt.Errorf("checkpoint: %w", err)
	}
	s, err := parseState(text)
	if err != nil {
		return State{}, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return s, nil
}

func parseState(text []byte) (State, error) {
	// Check the version first: another version may have other keys.
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return State{}, textfile.Brief(err)
	}
	if v.Version != StateVersion {
		return State{}, fmt.Errorf("%w %d, this program knows %d: resume with the program that wrote it", ErrVersion, v.Version, StateVersion)
	}
	var j stateJSON
	if err := decodeStrict(text, &j); err != nil {
		return State{}, err
	}
	j.State.BestLoss = math.Inf(1)
	if j.BestLoss != nil {
		j.State.BestLoss = *j.BestLoss
	}
	return j.State, j.State.Validate()
}
