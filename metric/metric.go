// Package metric records the measurements of a run: as JSON lines (for programs; a
// resumed run continues the file) and as TensorBoard events. Package metric/plot
// draws them.
package metric

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"
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

// Run records the measurements of one run. Each record is on disk when Record
// returns. A Run is for one goroutine.
type Run struct {
	jsonl  *JSONL
	events *Events // nil: no TensorBoard
	now    func() time.Time
}

// OpenRun continues the records in the existing folder dir after lastStep.
// Later records are dropped, because the resumed run makes them again; so is a
// record of lastStep for which again (if not nil) is true. lastStep -1 starts
// with no records. With tensorBoard, events go to dir/tensorboard.
func OpenRun(dir string, lastStep int, again func([]Field) bool, tensorBoard bool) (*Run, error) {
	jsonl, err := OpenJSONL(filepath.Join(dir, JSONLName), lastStep, again)
	if err != nil {
		return nil, err
	}
	r := &Run{jsonl: jsonl, now: time.Now}
	if tensorBoard {
		sub := filepath.Join(dir, "tensorboard")
		if lastStep < 0 {
			err = removeEvents(sub)
		}
		if err == nil {
			r.events, err = CreateEvents(sub, lastStep, r.now())
		}
		if err != nil {
			return nil, errors.Join(err, jsonl.Close())
		}
	}
	return r, nil
}

// removeEvents removes the event files of an earlier run.
func removeEvents(dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, eventPrefix+"*"))
	if err != nil {
		return fmt.Errorf("metric: remove old events: %w", err)
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return fmt.Errorf("metric: remove old events: %w", err)
		}
	}
	return nil
}

// Record writes the values measured at step, in the order given.
func (r *Run) Record(step int, fields ...Field) error {
	now := r.now()
	if err := r.jsonl.Record(step, now, fields...); err != nil {
		return err
	}
	if r.events == nil {
		return nil
	}
	return r.events.Record(step, now, fields...)
}

// Close closes the files.
func (r *Run) Close() error {
	err := r.jsonl.Close()
	if r.events != nil {
		err = errors.Join(err, r.events.Close())
	}
	return err
}

// Perplexity returns exp(nats), where nats is the mean loss per token.
func Perplexity(nats float64) float64 { return math.Exp(nats) }

// BitsPerByte returns the loss in bits per byte of text, for comparing models
// with different tokenizers: lossNats is the mean loss per token, over tokens
// tokens that decode to bytes bytes.
func BitsPerByte(lossNats float64, tokens, bytes int64) float64 {
	return lossNats * float64(tokens) / (float64(bytes) * math.Ln2)
}
