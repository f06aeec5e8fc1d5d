package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/train"
)

// configName is the file that makes a folder a run directory.
const configName = "bdia.yaml"

// runsDir is where runs go that nobody has named a folder for.
const runsDir = "runs"

// newDir is a folder that a command makes, and takes back if it fails.
type newDir struct {
	path    string
	existed bool
}

// claimDir chooses the folder of a new run: out, which must be empty if it
// exists or hold what an interrupted start left, or runs/PREFIX-DATE-TIME. It makes the latter, so that two commands of
// the same second get two folders.
func claimDir(out, prefix string) (newDir, error) {
	if out != "" {
		return unusedDir(out)
	}
	if err := disk.MkdirAll(runsDir, 0o777); err != nil {
		return newDir{}, err
	}
	base := filepath.Join(runsDir, prefix+"-"+time.Now().Format("20060102-150405"))
	d := newDir{path: base}
	for i := 2; ; i++ {
		if err := disk.Mkdir(d.path, 0o777); !errors.Is(err, fs.ErrExist) {
			return d, err
		}
		d.path = base + "-" + strconv.Itoa(i)
	}
}

// unusedDir is the folder path, which must be empty, not exist yet, or hold what an interrupted start left.
func unusedDir(path string) (newDir, error) {
	if train.Unfinished(path) {
		return newDir{path: path, existed: true}, checkpoint.Settle(path)
	}
	return emptyDir(path)
}

// emptyDir is the folder path, which must be empty or not exist yet.
func emptyDir(path string) (newDir, error) {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newDir{path: path}, nil
	case err != nil:
		return newDir{}, err
	case len(entries) == 0:
		return newDir{path: path, existed: true}, nil
	}
	if _, err := os.Stat(filepath.Join(path, configName)); err == nil {
		return newDir{}, fmt.Errorf("%w: %s", train.ErrExists, path)
	}
	return newDir{}, fmt.Errorf("%s is not empty; choose another folder with --out", path)
}

// remove takes back what was written.
func (d newDir) remove() {
	if !d.existed {
		disk.RemoveAll(d.path)
		if filepath.Dir(d.path) == runsDir {
			disk.Remove(runsDir) // succeeds if nothing else is in it
		}
		return
	}
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		disk.RemoveAll(filepath.Join(d.path, e.Name()))
	}
}

// inNewDir calls run with the folder of a new run, and removes the folder if
// run fails before training has begun, unless another process was quicker and
// the run in it is that one's.
func inNewDir(out, prefix string, p *cli.Progress, run func(dir string) error) error {
	d, err := claimDir(out, prefix)
	if err != nil {
		return err
	}
	err = run(d.path)
	if err != nil && !p.Started() && !errors.Is(err, cli.ErrStopped) && !errors.Is(err, cli.ErrUnsaved) {
		p.Clear()
		if !errors.Is(err, checkpoint.ErrLocked) && !errors.Is(err, train.ErrExists) {
			d.remove()
		}
	}
	return err
}

// folderOf returns the model folder that an argument or --from names.
func folderOf(args []string, from string) (string, error) {
	switch {
	case len(args) == 1 && from != "":
		return "", fmt.Errorf("the model is %s, and --from %s; give one of them", args[0], from)
	case len(args) == 1:
		return args[0], nil
	case from == "":
		return "", errors.New("name a run or model folder, as the argument or with --from")
	}
	return from, nil
}

// isRun returns an error if dir is not the directory of a run.
func isRun(dir string) error {
	unsettled := checkpoint.Settle(dir) // its settings may still wait to be put in place
	if _, err := os.Stat(filepath.Join(dir, configName)); !errors.Is(err, fs.ErrNotExist) && !isFile(dir) {
		return nil // if they wait, train.Open says why
	}
	if unsettled != nil {
		return unsettled
	}
	if model, err := hub.Find(dir); err != nil && !nothingNear(err) || err == nil && isFile(dir) {
		return cmp.Or(err, fmt.Errorf("%s is a file; name its folder, %s", dir, model))
	}
	if run := filepath.Dir(filepath.Clean(dir)); filepath.Base(dir) == "best" && isRun(run) == nil {
		return fmt.Errorf("%s has the best weights of a run; name the run directory, %s", dir, run)
	}
	return fmt.Errorf("%s is no run directory: it has no %s", dir, configName)
}

// isFile reports whether path is something else than a folder.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// nothingNear reports whether err is of a folder that is no model's, without other folders that may be meant.
func nothingNear(err error) bool {
	var none *hub.NoModelError
	return errors.As(err, &none) && !none.Missing && len(none.Near) == 0 && !isFile(none.Path)
}

// readRun returns the settings of the run in dir, without its data.
func readRun(dir string) (train.Task, error) {
	if err := isRun(dir); err != nil {
		return nil, err
	}
	return train.ReadRun(filepath.Join(dir, configName))
}

// openRun opens the run in dir.
func openRun(dir string) (*train.Run, error) {
	if err := isRun(dir); err != nil {
		return nil, err
	}
	return train.Open(dir)
}
