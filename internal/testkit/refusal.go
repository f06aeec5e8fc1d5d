package testkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// longestError is how many bytes an error of a reader may have. It quotes at most about 80 characters of a file.
const longestError = 500

// Refused fails t if err, with which a reader refuses a file, is not one short line.
func Refused(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if text := err.Error(); len(text) > longestError || strings.ContainsAny(text, "\n\r") {
		t.Errorf("an error of %d bytes, which should be one line of at most %d: %.200q", len(text), longestError, text)
	}
}

// Folder writes files by their names into a new folder.
func Folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
