//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// TestExportNodes: --force leaves pipes, as it leaves devices, and links where they are.
func TestExportNodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	model := in("model")
	exported(t, "--from", trainedRun(t), "--format", "hf", "--out", model)
	if err := errors.Join(os.CopyFS(in("linked"), os.DirFS(model)), os.Rename(in("linked/chars.json"), in("chars.json")), os.Symlink(in("chars.json"), in("linked/chars.json")),
		os.Symlink(model, in("link")), os.Symlink(in("none"), in("dangling")), os.Symlink(in("chars.json"), in("link.onnx")), syscall.Mkfifo(in("pipe.onnx"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, format, says string }{
		{"pipe.onnx", "hf", "no folder"},
		{"pipe.onnx", "onnx", "no regular file"},
		{"pipe.onnx", "gguf", "no regular file"},
		{"link.onnx", "onnx", "symbolic link"},
		{"link", "hf", "symbolic link"},
		{"link/", "hf", "symbolic link"},
		{"dangling", "hf", "symbolic link"},
		{"linked", "hf", "has chars.json"},
	} {
		r := call("export", "--from", trainedRun(t), "--format", tc.format, "--out", dir+"/"+tc.name, "--force", "--threads", "1")
		if r.code != cli.ExitUsage || !strings.Contains(r.err, tc.says) {
			t.Errorf("%s over %s: exit code %d, %s", tc.format, tc.name, r.code, r.err)
		}
	}
	for name, want := range map[string]fs.FileMode{"pipe.onnx": fs.ModeNamedPipe, "link": fs.ModeSymlink, "link.onnx": fs.ModeSymlink, "linked/chars.json": fs.ModeSymlink} {
		if info, err := os.Lstat(in(name)); err != nil || info.Mode().Type() != want {
			t.Errorf("%s is %v, %v", name, info, err)
		}
	}
}
