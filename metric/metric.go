// Package metric records the measurements of a run: as JSON lines (for programs; a
// resumed run continues the file) and as TensorBoard events. Package metric/plot
// draws them.
package metric

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/internal/recordfile"
)

// ErrCorrupt is wrapped by errors about a metrics or event file that this
// package did not write, or that was damaged since.
var ErrCorrupt = errors.New("corrupt file")

// Field is one measured value. Its name is the key in the JSON record and the
// tag in TensorBoard, where "train/loss" and "train/accuracy" form a group.
type Field struct {
	Name  string
	Value float64
}

// JSONLName is the name of the record file in a run directory.
const JSONLName = "metrics.jsonl"

// tensorBoardDir is the folder of event files in a run directory.
const tensorBoardDir = "tensorboard"

// Mark is how far a file of records had come: its size in bytes and their XXH3-128.
type Mark = recordfile.Mark

// WriteError is the error of a record that a disk refuses. The record waits in memory, and is written before the next
// one. Only when too many wait is it lost.
type WriteError struct {
	File    string
	Waiting int // bytes
	Lost    int // records
	Err     error
}

// Error says which file is behind.
func (e *WriteError) Error() string {
	return fmt.Sprintf("metric: %v: %d bytes of records wait in memory, %d records are lost", e.Err, e.Waiting, e.Lost)
}

// Unwrap returns the error of the disk.
func (e *WriteError) Unwrap() error { return e.Err }

// writeError is err, of writing to f, with what waits.
func writeError(f *recordfile.File, err error) error {
	if err == nil {
		return nil
	}
	return &WriteError{File: f.Name(), Waiting: f.Waiting(), Lost: f.Lost(), Err: err}
}

// Run records the measurements of one run. Each record is in its files when Record
// returns, unless that fails. A Run is for one goroutine.
type Run struct {
	// Notes say what OpenRun found changed or damaged.
	Notes  []string
	dir    string
	now    func() time.Time
	jsonl  *JSONL
	events *Events // nil: no TensorBoard

	certificates *certificates // nil: there are none
}

// Start says where the records of a run begin or go on.
type Start struct {
	// After is the last step whose records stay; -1: none do. Later ones are dropped, because a resumed run makes them
	// again, and so is a record of this step for which Again (if not nil) is true.
	After int
	Again func([]Field) bool
	// Marks say how far files had come at the checkpoint, by names relative to the run directory (see Run.Marks). A file
	// that still begins with what its mark says is cut to it. Another one, or one without a mark, is cut by its steps;
	// certificates that were changed or damaged are set aside, as certificate.jsonl.damaged.
	Marks map[string]Mark
	// TensorBoard lets events go to the folder tensorboard. They go on in the file that has a mark, else in a new one.
	TensorBoard bool
	// Certificates lets Certify write certificates, which go on after the step After.
	Certificates bool
	// Now tells the time of records; nil: time.Now.
	Now func() time.Time
}

// OpenRun begins or goes on with the records in the existing folder dir.
func OpenRun(dir string, from Start) (*Run, error) {
	r := &Run{dir: dir, now: time.Now}
	if from.Now != nil {
		r.now = from.Now
	}
	if from.After < 0 {
		from.Marks = nil
	}
	if err := r.openJSONL(from); err != nil {
		return nil, err
	}
	if from.TensorBoard {
		if err := r.openEvents(from); err != nil {
			return nil, errors.Join(err, r.jsonl.Close())
		}
	}
	if from.Certificates {
		if err := r.openCertificates(from); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// note adds to the notes.
func (r *Run) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// openJSONL opens the record file at its mark, or by its steps.
func (r *Run) openJSONL(from Start) error {
	path := filepath.Join(r.dir, JSONLName)
	if mark, ok := from.Marks[JSONLName]; ok {
		f, err := recordfile.Open(path, mark)
		if err == nil {
			r.jsonl = &JSONL{file: f}
			return nil
		}
		if !errors.Is(err, recordfile.ErrMark) {
			return fmt.Errorf("metric: open records: %w", err)
		}
		r.note("%s: %v; its records of steps up to %d stay", path, err, from.After)
	}
	jsonl, bad, err := OpenJSONL(path, from.After, from.Again)
	if err != nil {
		return err
	}
	if bad.Lines > 0 {
		r.note("%s: %d lines that are no records are left out, the first of them line %d (%v)", path, bad.Lines, bad.First, bad.Err)
	}
	r.jsonl = jsonl
	return nil
}

// openEvents opens the event file that has a mark, or a new one.
func (r *Run) openEvents(from Start) (err error) {
	dir := filepath.Join(r.dir, tensorBoardDir)
	for name, mark := range from.Marks {
		if path.Dir(name) != tensorBoardDir || !strings.HasPrefix(path.Base(name), eventPrefix) {
			continue
		}
		if r.events, err = OpenEvents(filepath.Join(dir, path.Base(name)), mark); err == nil {
			return nil
		}
		r.note("%s: %v; events go on in a new file", name, err)
	}
	if from.After < 0 {
		if err := removeEvents(dir); err != nil {
			return err
		}
	}
	r.events, err = CreateEvents(dir, from.After, r.now())
	return err
}

// removeEvents removes the event files of an earlier run.
func removeEvents(dir string) error {
	old, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("metric: remove old events: %w", err)
	}
	for _, f := range old {
		if !strings.HasPrefix(f.Name(), eventPrefix) {
			continue
		}
		if err := disk.Remove(filepath.Join(dir, f.Name())); err != nil {
			return fmt.Errorf("metric: remove old events: %w", err)
		}
	}
	return nil
}

// Record writes the values measured at step, in the order given. The error of a disk is a
// WriteError, or several that are joined.
func (r *Run) Record(step int, fields ...Field) error {
	now := r.now()
	err := r.jsonl.Record(step, now, fields...)
	if r.events != nil && (err == nil || errors.As(err, new(*WriteError))) {
		err = errors.Join(err, r.events.Record(step, now, fields...))
	}
	return err
}

// Marks says how far each file has come, by its name relative to the run directory.
// Before a checkpoint that keeps them, call Sync.
func (r *Run) Marks() map[string]Mark {
	marks := map[string]Mark{}
	for _, f := range r.files() {
		if name, err := filepath.Rel(r.dir, f.Name()); err == nil {
			marks[filepath.ToSlash(name)] = f.Mark()
		}
	}
	return marks
}

// files are the files that are written.
func (r *Run) files() []*recordfile.File {
	files := []*recordfile.File{r.jsonl.file}
	if r.events != nil {
		files = append(files, r.events.file)
	}
	if r.certificates != nil {
		files = append(files, r.certificates.file)
	}
	return files
}

// Sync writes what waits and makes all records durable.
func (r *Run) Sync() (err error) {
	for _, f := range r.files() {
		err = errors.Join(err, writeError(f, f.Sync()))
	}
	return err
}

// Close closes the files.
func (r *Run) Close() (err error) {
	for _, f := range r.files() {
		err = errors.Join(err, writeError(f, f.Close()))
	}
	return err
}

// Perplexity returns exp(nats), where nats is the mean loss per token.
func Perplexity(nats float64) float64 { return pmath.Exp(nats) }

// BitsPerByte returns the loss in bits per byte of text, for comparing models
// with different tokenizers: lossNats is the mean loss per token, over tokens
// tokens that decode to bytes bytes.
func BitsPerByte(lossNats float64, tokens, bytes int64) float64 {
	return lossNats * float64(tokens) / (float64(bytes) * math.Ln2)
}
