package testkit

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// longestError is how many bytes an error of a reader may have, with one for each escaped character. It quotes at most
// about 80 characters of a file.
const longestError = 500

// escaped is a character that a quotation shows by its number.
var escaped = regexp.MustCompile(`\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})`)

// Refused fails t if err, with which a reader refuses a file, is not one short line.
func Refused(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if text := err.Error(); len(escaped.ReplaceAllString(text, "?")) > longestError || strings.ContainsAny(text, "\n\r") {
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

// words are what Longer lengthens.
var words = regexp.MustCompile(`[A-Za-z]+|[0-9]+`)

// Longer returns copies of the text of a file, in each of which another word or number is 4,000 characters longer. They
// are seeds for a fuzz target: a reader's error must not quote all of them.
func Longer[T ~string | ~[]byte](text T) (all []T) {
	const most = 200 // copies
	for _, at := range words.FindAllStringIndex(string(text), most) {
		head, tail := string(text)[:at[1]], string(text)[at[1]:]
		all = append(all, T(head+strings.Repeat(head[at[1]-1:], 4000)+tail))
	}
	return all
}
