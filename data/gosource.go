package data

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// GoSource lists the standard library of the Go installation found on this
// machine, at most maxBytes of it (0: all). Every user of Go has this text.
// Commands, vendored code, testdata and packages of tables, constants or code for
// one machine are left out, since a model learns little from them.
func GoSource(maxBytes int64) (*Source, error) {
	for _, root := range goRoots() {
		src := filepath.Join(root, "src")
		if _, err := os.Stat(filepath.Join(src, "fmt", "print.go")); err != nil {
			continue
		}
		return Open(src, SourceOptions{
			Extensions: []string{".go"},
			SkipDirs: []string{"cmd", "vendor", "testdata", "compress", "crypto", "debug", "hash", "image", "internal", "math",
				"runtime", "simd", "syscall", "tzdata", "unicode"},
			MaxBytes: maxBytes,
		})
	}
	return nil, fmt.Errorf("data: %w: no Go installation found to take its source as training text: set GOROOT, or name a file or folder of text instead", ErrNoText)
}

// goRoots returns where Go may be installed, most likely first.
func goRoots() []string {
	var roots []string
	if out, err := exec.Command("go", "env", "GOROOT").Output(); err == nil {
		roots = append(roots, strings.TrimSpace(string(out)))
	}
	roots = append(roots, os.Getenv("GOROOT"), "/usr/local/go", "/usr/lib/go", "/usr/lib/golang",
		"/opt/homebrew/opt/go/libexec", "/usr/local/opt/go/libexec", `C:\Program Files\Go`)
	if home, err := os.UserHomeDir(); err == nil {
		sdks, _ := filepath.Glob(filepath.Join(home, "sdk", "go*"))
		roots = append(roots, sdks...)
	}
	kept := roots[:0]
	for _, r := range roots {
		if filepath.IsAbs(r) {
			kept = append(kept, r)
		}
	}
	return kept
}
