package main

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"path/filepath"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/train"
)

// mostEdited is the largest file in which the first difference is looked for.
const mostEdited = 1 << 20

// edited says what became of a file that people edit, in a folder of the run in dir: where it differs first from a copy
// of what was written, if the run has one. Settings that cannot be read any more are damaged. Reason is what is known.
func edited(dir, folder, name string, was checkpoint.Sum, reason string) (state, why string) {
	at := filepath.Join(dir, filepath.FromSlash(folder), filepath.FromSlash(name))
	if now, then, from := textAndTwin(dir, at, name, was); from != "" {
		reason = fmt.Sprintf("%s; %s", reason, firstDifference(now, then, from))
	}
	if path.Base(name) == configName {
		if _, err := train.ReadRun(at); err != nil {
			return "damaged", reason + "; it cannot be read: put a copy of it back"
		}
	}
	return "edited", reason
}

// textAndTwin returns the text of the file at path, and of a copy with the bytes that were written, with its name in
// the run; from is empty if there is none, or one cannot be read.
func textAndTwin(dir, path, name string, was checkpoint.Sum) (now, then []byte, from string) {
	from, err := train.Twin(dir, name, was)
	if main := filepath.Join(dir, filepath.FromSlash(name)); from == "" && main != path {
		if sum, err := checkpoint.SumFile(main); err == nil && sum == was {
			from = name
		}
	}
	if from == "" || err != nil {
		return nil, nil, ""
	}
	now, err = textfile.ReadFile(path, mostEdited)
	then, err2 := textfile.ReadFile(filepath.Join(dir, filepath.FromSlash(from)), mostEdited)
	if cmp.Or(err, err2) != nil {
		return nil, nil, ""
	}
	return now, then, from
}

// firstDifference says where a text differs first from what it was, of which from is a copy.
func firstDifference(now, then []byte, from string) string {
	switch {
	case bytes.HasPrefix(then, now):
		return fmt.Sprintf("it is cut off in line %d of the text that %s has", bytes.Count(now, []byte("\n"))+1, from)
	case bytes.HasPrefix(now, then):
		return fmt.Sprintf("more follows from line %d on than in %s", bytes.Count(then, []byte("\n"))+1, from)
	}
	for line := 1; ; line++ {
		a, restA, _ := bytes.Cut(now, []byte("\n"))
		b, restB, _ := bytes.Cut(then, []byte("\n"))
		if !bytes.Equal(a, b) {
			return fmt.Sprintf("line %d is %.60q, and %.60q in %s", line, a, b, from)
		}
		now, then = restA, restB
	}
}
