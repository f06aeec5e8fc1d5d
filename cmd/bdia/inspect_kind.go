package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/pairs"
)

// kind says what is at path: the word of a task, or a run.
func (o inspection) kind(path string) (string, error) {
	if o.task != "" {
		if _, ok := learnable[o.task]; !ok {
			return "", cli.Usage(fmt.Errorf("unknown task %q; use %s", o.task, joinOr(slices.Sorted(maps.Keys(learnable)))))
		}
		return o.task, nil
	}
	info, err := os.Stat(path)
	switch {
	case path == "go" && errors.Is(err, fs.ErrNotExist):
		return "text", nil
	case err != nil:
		return "", err
	case info.IsDir():
		if _, err := os.Stat(filepath.Join(path, configName)); err == nil {
			return aRun, nil
		}
		return folderKind(path)
	case isArchive(path):
		return "images", nil
	}
	what, err := kindOf(path)
	switch {
	case err != nil:
		return "", err
	case what == pairs.KindPairs:
		if kind, err := convert.KindOf(o.from); o.from != "" && err == nil && kind == convert.Seq2Seq {
			return "translation", nil
		}
		return "completion", nil
	}
	return "text", nil
}

// isArchive reports a file that holds images, by its name.
func isArchive(path string) bool {
	path = strings.ToLower(path)
	for _, ending := range []string{".tar", ".tar.gz", ".tgz", ".zip", ".bin"} {
		if strings.HasSuffix(path, ending) {
			return true
		}
	}
	return false
}

// mostEntries is how many files of a folder are looked at to say what it holds.
const mostEntries = 2000

// folderKind says whether most files of a folder are images.
func folderKind(dir string) (string, error) {
	found, all := 0, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || strings.HasPrefix(d.Name(), "."):
			return nil
		}
		switch strings.ToLower(filepath.Ext(path)) {
		case ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".bin":
			found++
		}
		if all++; all == mostEntries {
			return fs.SkipAll
		}
		return nil
	})
	if 2*found > all {
		return "images", err
	}
	return "text", err
}
