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
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/data/pairs"
)

// kind says what is at path: the word of a task, or a run.
func (o inspection) kind(path string) (string, error) {
	if o.source != "" && o.task == "" {
		return o.pairs(), nil
	}
	if o.source != "" && learnable[o.task].pairs == nil {
		return "", cli.Usage(fmt.Errorf("--task %s, but --source and --target are pairs; use completion or translation", o.task))
	}
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
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no file or folder %s, and bdia downloads nothing", path)
	case err != nil:
		return "", err
	case info.IsDir() && holds(path, configName):
		return aRun, nil
	case info.IsDir() && holds(path, "config.json") && (holds(path, "*.safetensors") || holds(path, "pytorch_model*.bin")):
		return "", fmt.Errorf("%s is the folder of a model, and no data; inspect data as this model reads them with --from %[1]s", path)
	}
	switch of, err := ofImages(path); {
	case err != nil:
		return "", err
	case isImage(path):
		return "", fmt.Errorf("%s is one image; name a folder or an archive that has a folder of images for each class", path)
	case of:
		return "images", nil
	case info.IsDir() || images.IsArchive(path):
		return "text", nil
	}
	what, err := kindOf(path)
	switch {
	case err != nil:
		return "", err
	case what == pairs.KindPairs:
		if o.from == "" {
			return "completion", nil
		}
		return o.pairs(), nil
	}
	return "text", nil
}

// pairs says what pairs are to the model of --from; without one, translations.
func (o inspection) pairs() string {
	if kind, err := convert.KindOf(o.from); o.from != "" && err == nil && kind != convert.Seq2Seq {
		return "completion"
	}
	return "translation"
}

// holds reports whether a folder has a file of a name, which may have stars.
func holds(dir, name string) bool {
	found, err := filepath.Glob(filepath.Join(globbed.Replace(dir), name))
	return err == nil && len(found) > 0
}

// globbed is a path for filepath.Glob to take as it is.
var globbed = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`)
