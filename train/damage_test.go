package train_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

// hearer hears what is noted and warned of, and stops the run at a checkpoint.
type hearer struct {
	train.Quiet
	texts []string
	at    int // step; 0: never
	stop  func()
}

func (h *hearer) Note(text string) { h.texts = append(h.texts, text) }
func (h *hearer) Warn(text string) { h.texts = append(h.texts, text) }

func (h *hearer) Saved(step int, _ string) {
	if step == h.at {
		h.stop()
	}
}

// hears reports whether a text names the file.
func (h *hearer) hears(name string) bool {
	return slices.ContainsFunc(h.texts, func(text string) bool { return strings.Contains(text, path.Base(name)) })
}

// TestDamagedFiles flips one bit in the files of runs, a thousand in all. Resumed, a run fails, says which file is
// damaged, or ends with the numbers of a run without damage. Files of best/ and of older checkpoints, which resuming
// does not read, are found by their manifests. The run of text has moments of 8 bits.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	flips := 250 // of each run
	if testing.Short() {
		flips = 25
	}
	for _, run := range tinyRuns {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			damaged(t, run, flips)
		})
	}
}

func damaged(t *testing.T, run tinyRun, flips int) {
	dir := filepath.Join(scratch(t), "run")
	task := run.task(t)()
	task.Common().Loop.Keep = 2
	if c, ok := task.Config().(*text.Config); ok { // moments of 8 bits, in matrices that are large enough for them
		c.Model.Width, c.Optimizer.StateBits = 32, 8
	}
	r, err := train.Create(t.Context(), dir, task, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r.Clock = &stopped{}
	if sum, err := r.Train(ctx, &hearer{at: 4, stop: stop}); err != nil || sum.Steps != 4 {
		t.Fatalf("%+v, %v", sum, err)
	}
	r.Close()
	whole := content(t, dir)
	resumed := func(files map[string]string) (map[string]string, *hearer, error) {
		t.Helper()
		if err := lay(dir, files); err != nil {
			t.Fatal(err)
		}
		r, err := train.Open(dir)
		if err != nil {
			return nil, nil, err
		}
		defer r.Close()
		h := &hearer{}
		r.Clock = &stopped{}
		_, err = r.Train(t.Context(), h)
		return numbers(content(t, dir)), h, err
	}
	want, _, err := resumed(whole)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		if len(whole[name]) > 0 {
			names = append(names, name)
		}
	}
	count := map[string]int{}
	for i := range flips {
		name := names[i%len(names)]
		bytes := []byte(whole[name])
		n, k := (flips+len(names)-1)/len(names), i/len(names)
		parts := partsOf(t, name, whole[name])
		part := parts[k%len(parts)]
		at := part.from + (2*k+1)*(part.end-part.from)/(2*n)
		bytes[at] ^= 1 << (i % 8)
		files := maps.Clone(whole)
		files[name] = string(bytes)
		got, h, err := resumed(files)
		switch {
		case err != nil:
			count["refused"]++
		case h.hears(name):
			count["told"]++
		case difference(got, want) != "":
			t.Errorf("bit %d of byte %d of %s: silently another result", i%8, at, name)
		case listed(t, dir, files, name):
			count["listed"]++
		default:
			count["harmless "+filepath.Base(name)]++
		}
		if part.name != "" {
			count[part.name]++
		}
	}
	t.Log(fmt.Sprint(run.name, ": ", count))
	if run.name == "text" && !testing.Short() && (count[inCodes] == 0 || count[inScales] == 0) {
		t.Error("no flip is in moments of 8 bits, or none in their scales")
	}
}

// Parts of the file of moments of 8 bits.
const (
	inCodes  = "in 8-bit codes"
	inScales = "in their scales"
)

// part is a part of a file.
type part struct {
	name      string // "" if it is all of it
	from, end int    // bytes
}

// partsOf are the parts of a file that flips take turns in: all of it, and of moments of 8 bits, beside 32-bit ones, the
// codes and the scales of a matrix.
func partsOf(t *testing.T, name, content string) []part {
	t.Helper()
	parts := []part{{end: len(content)}}
	if path.Base(name) != "optimizer.safetensors" {
		return parts
	}
	h, err := safetensors.Parse(strings.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, x := range h.Tensors {
		kind := ""
		switch {
		case x.DType == safetensors.U8:
			kind = inCodes
		case strings.HasSuffix(x.Name, ".absmax"):
			kind = inScales
		}
		if kind != "" && !found[kind] {
			found[kind] = true
			from := int(h.DataStart + x.Offset)
			parts = append(parts, part{kind, from, from + int(x.Size)})
		}
	}
	return parts
}

// listed reports whether the manifest of a folder that resuming does not read finds the file damaged.
func listed(t *testing.T, dir string, files map[string]string, name string) bool {
	t.Helper()
	folder := path.Dir(name)
	if !strings.HasPrefix(name, "best/") && !strings.HasPrefix(name, checkpoint.KeptDir+"/") {
		return false
	}
	if path.Base(folder) == "state" {
		folder = path.Dir(folder)
	}
	if err := lay(dir, files); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, filepath.FromSlash(folder))
	m, err := checkpoint.ReadManifest(at)
	if err != nil {
		return true
	}
	rest := strings.TrimPrefix(name, folder+"/")
	return m.Compare(at, rest) != nil
}

// lay makes dir hold the files, whose names end in a slash for folders.
func lay(dir string, files map[string]string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		at := filepath.Join(dir, filepath.FromSlash(name))
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(at, fs.ModePerm)
		} else {
			err = os.WriteFile(at, []byte(files[name]), 0o666)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
