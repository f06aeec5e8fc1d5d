package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/disk"
)

// Force replaces only the results of earlier exports: a file by a file, and a folder by a
// folder if it has no other files than exports write, or carried over and listed in its manifest.

// exportFiles are the names of the files that exports write, by folder.
var exportFiles = map[string][]string{
	".":      append([]string{"config.json", "generation_config.json", "preprocessor_config.json", "model.safetensors", cardFile, checkpoint.ManifestFile}, hub.TokenizerFiles()...),
	"onnx":   {"model.onnx", "model.onnx_data", "encoder_model.onnx", "encoder_model.onnx_data", "decoder_model.onnx", "decoder_model.onnx_data"},
	"source": hub.TokenizerFiles(),
	"target": hub.TokenizerFiles(),
}

// PlaceError is the error for a path that must not be written to.
type PlaceError struct {
	Path   string
	Reason string // for example "is a symbolic link, which is not replaced"
	Exists bool   // an earlier export, which Options.Force would replace
}

// Error says why the path is not written to, and the way out.
func (e *PlaceError) Error() string {
	if e.Exists {
		return fmt.Sprintf("export: %s exists; replace it, or choose another path", e.Path)
	}
	return fmt.Sprintf("export: %s %s; choose another path", e.Path, e.Reason)
}

// mayWrite returns an error if o.Out must not be replaced: without Force anything that
// exists; with it anything but an earlier export, and the model's own folders, sources.
func (o Options) mayWrite(sources []string) error {
	refuse := func(format string, args ...any) error {
		return &PlaceError{Path: o.Out, Reason: fmt.Sprintf(format, args...)}
	}
	there, err := os.Lstat(filepath.Clean(o.Out))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	switch {
	case there.Mode()&fs.ModeSymlink != 0:
		return refuse("is a symbolic link, which is not replaced")
	case o.oneFile() && !there.Mode().IsRegular():
		return refuse("is no regular file, and a file replaces nothing else")
	case !o.oneFile() && !there.IsDir():
		return refuse("is no folder, and a folder replaces nothing else")
	}
	full, err := filepath.Abs(o.Out)
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if run := runAbove(full); run != "" {
		return refuse("belongs to the run directory %s, which is never replaced", run)
	}
	for _, dir := range sources {
		if dir != "" && (within(full, dir) || within(dir, full)) {
			return refuse("would replace what is exported, of %s", dir)
		}
	}
	if there.IsDir() {
		if within(".", full) {
			return refuse("is where the program runs, which is not replaced")
		}
		other, err := notExported(o.Out)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if other != "" {
			if other == cardFile {
				return refuse("has %s, which was written or changed by hand; move it away", other)
			}
			return refuse("has %s, which no export writes and none replaces; move it away", other)
		}
	}
	if !o.Force {
		return &PlaceError{Path: o.Out, Exists: true}
	}
	return nil
}

// runAbove returns the run directory that path is or lies in, or nothing.
func runAbove(path string) string {
	for {
		if _, err := os.Stat(filepath.Join(path, hub.RunFile)); err == nil {
			return path
		}
		up := filepath.Dir(path)
		if up == path {
			return ""
		}
		path = up
	}
}

// within reports whether path is dir or lies in it, whatever their names.
func within(path, dir string) bool {
	want, err := os.Stat(dir)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	for err == nil {
		if have, err := os.Stat(path); err == nil && os.SameFile(have, want) {
			return true
		}
		if path == filepath.Dir(path) {
			break
		}
		path = filepath.Dir(path)
	}
	return false
}

// notExported returns the first entry of dir that no export writes, or "".
func notExported(dir string) (other string, err error) {
	listed, _ := checkpoint.ReadManifest(dir) // nil, if it cannot be read
	err = filepath.WalkDir(dir, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, full)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		_, known := exportFiles[name]
		if !d.IsDir() {
			known = d.Type().IsRegular() && slices.Contains(exportFiles[path.Dir(name)], path.Base(name)) && (name != cardFile || ours(full))
			if !known && name != cardFile && listed != nil && d.Type().IsRegular() {
				known = listed.Compare(dir, name) == nil
			}
		}
		if !known {
			other = name
			return fs.SkipAll
		}
		return nil
	})
	return other, err
}

// place renames the new export to o.Out durably. An earlier one there is kept until then, and put back if that fails.
func (o Options) place(h *hidden, sources []string) error {
	if err := o.mayWrite(sources); err != nil { // again, since the export took a while
		return err
	}
	if err := atomicfile.SyncTree(h.path()); err != nil {
		return fmt.Errorf("export: %s: %w", o.Out, err)
	}
	moved := false
	if o.Force {
		err := disk.Rename(o.Out, h.before())
		if moved = err == nil; !moved && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := atomicfile.Move(h.path(), o.Out); err != nil {
		err = fmt.Errorf("export: %s: %w", o.Out, err)
		if moved && !exists(o.Out) && disk.Rename(h.before(), o.Out) != nil {
			err = fmt.Errorf("%w; the earlier export is in %s, and the next export puts it back", err, h.before())
		}
		return err
	}
	return nil
}
