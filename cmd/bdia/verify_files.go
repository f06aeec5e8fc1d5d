package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/train"
)

// errFiles makes the exit code of a check that found a damaged file.
var errFiles = errors.New("files are damaged or missing")

// fileCheck is what was found of one file.
type fileCheck struct {
	File   string `json:"file"`   // slash-separated, in the folder
	State  string `json:"state"`  // ok, damaged, missing, edited or not listed
	Reason string `json:"reason"` // of damage, or why it is not listed
}

// verifyFiles compares every file of a run directory, its best/ and its older checkpoints, or of an export, with the
// manifests, or an export that is one file with the checksum in it. It prints the list.
func verifyFiles(ctx context.Context, w io.Writer, path string, asJSON bool) error {
	list, err := cli.AtOnce(ctx, func() ([]fileCheck, error) {
		if isFile(path) {
			return checkFile(path)
		}
		return checkRun(path)
	})
	if err != nil {
		return err
	}
	bad := slices.ContainsFunc(list, func(f fileCheck) bool { return f.State == "damaged" || f.State == "missing" })
	if asJSON {
		err = cli.PrintJSON(w, map[string]any{"files": list, "whole": !bad})
	} else {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, f := range list {
			fmt.Fprintf(t, "%s\t%s\t%s\n", f.State, f.File, f.Reason)
		}
		err = t.Flush()
	}
	if err == nil && bad {
		err = errFiles
	}
	return err
}

// checkFile compares an export that is one file with the checksum in it.
func checkFile(path string) ([]fileCheck, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, cmp.Or(err, fmt.Errorf("%s is neither a folder nor an ordinary file", path))
	}
	check := gguf.Check
	if strings.HasSuffix(path, ".onnx") {
		check = onnx.Check
	}
	f := fileCheck{File: filepath.Base(path), State: "ok"}
	err := check(path)
	switch {
	case errors.Is(err, gguf.ErrNoSum):
		return nil, fmt.Errorf("%s has no checksum in it, so that it cannot be compared: an earlier version wrote it, or other software; only GGUF and ONNX files of bdia export have one",
			path)
	case errors.Is(err, gguf.ErrChanged):
		f.State, f.Reason = "damaged", "it has other bytes than were written; export it again"
	case err != nil:
		return nil, err
	}
	return []fileCheck{f}, nil
}

// checkRun compares the files of a run directory, its best/ and its older checkpoints, or of an export.
func checkRun(dir string) (list []fileCheck, err error) {
	if err := checkpoint.Settle(dir); err != nil {
		return nil, err
	}
	others, err := train.OtherCheckpoints(dir)
	if err != nil {
		return nil, err
	}
	for _, folder := range append([]string{"."}, others...) {
		more, err := checkFolder(dir, folder)
		if err != nil && (folder == "." || !errors.Is(err, fs.ErrNotExist)) {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s has no %s, so that its files cannot be compared: an earlier version wrote it, or other software; the next checkpoint of a run adds one",
					dir, checkpoint.ManifestFile)
			}
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// checkFolder compares the files of one folder, a name below dir, with its manifest, and lists the ones that it lacks.
func checkFolder(dir, folder string) (list []fileCheck, err error) {
	at := filepath.Join(dir, filepath.FromSlash(folder))
	m, err := checkpoint.ReadManifest(at)
	if err != nil {
		return nil, err
	}
	for _, name := range m.Names() {
		f := fileCheck{File: path.Join(folder, name), State: "ok"}
		var damage *checkpoint.DamagedError
		err := m.Compare(at, name)
		if errors.As(err, &damage) {
			f.State, f.Reason = "damaged", "it "+damage.Reason
			switch {
			case damage.Missing:
				f.State = "missing"
			case checkpoint.Editable(name):
				f.State, f.Reason = edited(dir, folder, name, m.Files[name], f.Reason)
			}
		} else if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	err = filepath.WalkDir(at, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(at, p)
		name := filepath.ToSlash(rel)
		switch {
		case err != nil || name == ".":
			return err
		case strings.HasPrefix(e.Name(), "."), folder == "." && e.IsDir() && (name == "best" || name == checkpoint.KeptDir):
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir() && name != checkpoint.ManifestFile && m.Files[name] == (checkpoint.Sum{}):
			list = append(list, fileCheck{path.Join(folder, name), "not listed", notListed(name)})
		}
		return nil
	})
	list = compareRecords(at, folder, list)
	slices.SortStableFunc(list, func(a, b fileCheck) int { return cmp.Compare(a.File, b.File) })
	return list, err
}
