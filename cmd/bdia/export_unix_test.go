//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestExportPipe: --force leaves a pipe, as it leaves a device, where it is.
func TestExportPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe.onnx")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"hf", "onnx", "gguf"} {
		r := call("export", "--from", trainedRun(t), "--format", format, "--out", pipe, "--force", "--threads", "1")
		if r.code != exitUsage || !strings.Contains(r.err, "choose another --out") {
			t.Errorf("%s: exit code %d, %s", format, r.code, r.err)
		}
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		t.Errorf("the pipe is %v, %v", info, err)
	}
}
