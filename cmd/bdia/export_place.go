package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/atomicfile"
)

// What --force replaces is what an export can have written: a file by a file, a
// folder by a folder in which nothing else lies.

// exportFiles are the names that exports write, by the folder in which they write
// them.
var exportFiles = map[string][]string{
	".":      append([]string{"config.json", "generation_config.json", "preprocessor_config.json", "model.safetensors"}, tokenizerFiles...),
	"onnx":   {"model.onnx", "model.onnx_data", "encoder_model.onnx", "encoder_model.onnx_data", "decoder_model.onnx", "decoder_model.onnx_data"},
	"source": tokenizerFiles,
	"target": tokenizerFiles,
}

var tokenizerFiles = []string{"chars.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"}

// alone reports whether the export is one file.
func (o exportOptions) alone() bool {
	return o.format == "gguf" || o.format == "onnx" && strings.HasSuffix(o.out, ".onnx")
}

// mayWrite refuses to write over what is at o.out: without --force anything, and with
// it what no export has written, and what sources, the folders of the model, have.
func (o exportOptions) mayWrite(sources []string) error {
	there, err := os.Lstat(filepath.Clean(o.out))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case there.Mode()&fs.ModeSymlink != 0:
		return cli.Usage(fmt.Errorf("%s is a symbolic link, which is not replaced; name what it points to, or choose another --out", o.out))
	case o.alone() && !there.Mode().IsRegular():
		return cli.Usage(fmt.Errorf("%s is no regular file, and a file replaces nothing else; choose another --out", o.out))
	case !o.alone() && !there.IsDir():
		return cli.Usage(fmt.Errorf("%s is no folder, and a folder replaces nothing else; choose another --out", o.out))
	}
	full, err := filepath.Abs(o.out)
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	if err != nil {
		return err
	}
	if run := runAbove(full); run != "" {
		return cli.Usage(fmt.Errorf("%s belongs to the run directory %s, which is never replaced; choose another --out", o.out, run))
	}
	for _, dir := range sources {
		if dir != "" && (within(full, dir) || within(dir, full)) {
			return cli.Usage(fmt.Errorf("%s would replace what is exported, of %s; choose another --out", o.out, dir))
		}
	}
	if there.IsDir() {
		if within(".", full) {
			return cli.Usage(fmt.Errorf("%s is where the program runs, which is not replaced; choose another --out", o.out))
		}
		if err := onlyExport(o.out); err != nil {
			return err
		}
	}
	if !o.force {
		return cli.Usage(fmt.Errorf("%s exists; choose another --out, or replace it with --force", o.out))
	}
	return nil
}

// runAbove returns the run directory that path is or lies in, or nothing.
func runAbove(path string) string {
	for {
		if _, err := os.Stat(filepath.Join(path, configName)); err == nil {
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

// onlyExport refuses a folder that has something that no export writes.
func onlyExport(dir string) error {
	return filepath.WalkDir(dir, func(full string, d fs.DirEntry, err error) error {
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
			known = d.Type().IsRegular() && slices.Contains(exportFiles[path.Dir(name)], path.Base(name))
		}
		if !known {
			return cli.Usage(fmt.Errorf("%s has %s, which no export writes and none replaces; move it away, or choose another --out", dir, name))
		}
		return nil
	})
}

// place gives what was written its name. What had it before stays until then.
func (o exportOptions) place(temporary string, sources []string) error {
	if err := o.mayWrite(sources); err != nil { // again: it has taken a while
		return err
	}
	if !o.force {
		return atomicfile.Move(o.path, o.out)
	}
	before := filepath.Join(temporary, "before")
	none := os.Rename(o.out, before)
	if none != nil && !errors.Is(none, fs.ErrNotExist) {
		return none
	}
	err := atomicfile.Move(o.path, o.out)
	if err != nil && none == nil {
		err = errors.Join(err, os.Rename(before, o.out))
	}
	return err
}
