package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
)

// compareRecords compares the records of the run in dir, which go on growing, with how far they had come at the latest
// checkpoint, and puts what it finds in their places in list. Best weights and older checkpoints have no records.
func compareRecords(dir, folder string, list []fileCheck) []fileCheck {
	if folder != "." {
		return list
	}
	st, err := checkpoint.ReadState(filepath.Join(dir, filepath.FromSlash(checkpoint.StateFile)))
	if err != nil { // none yet, or the manifest says that it is damaged
		return list
	}
	for _, name := range slices.Sorted(maps.Keys(st.Records)) {
		mark := st.Records[name]
		f := fileCheck{File: name, State: "ok", Reason: fmt.Sprintf("records: the %d bytes up to step %d, as %s has them", mark.Size, st.Step, checkpoint.StateFile)}
		switch err := mark.Compare(filepath.Join(dir, filepath.FromSlash(name))); {
		case errors.Is(err, fs.ErrNotExist):
			f.State, f.Reason = "missing", "records: "+checkpoint.StateFile+" has them"
		case err != nil:
			f.State, f.Reason = "damaged", "records: "+err.Error()
		}
		list = slices.DeleteFunc(list, func(g fileCheck) bool { return g.File == name })
		list = append(list, f)
	}
	return list
}

// notListed says why the manifest of a folder lacks the named file.
func notListed(name string) string {
	ext := path.Ext(name)
	switch {
	case name == metric.JSONLName, name == metric.CertificateName, strings.HasPrefix(name, "tensorboard/"):
		return "records: the checkpoint does not have them"
	case !strings.Contains(name, "/") && (ext == ".png" || ext == ".svg"):
		return "a figure, which is drawn again from the records"
	}
	return "no file of the checkpoint"
}
