package export

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/textfile"
)

// Model card and Modelfile are signed, so that --force replaces what an export wrote and nobody has changed, and no
// text of a person.

var signature = regexp.MustCompile(`(?m)^.*written by an export of bdia, not replaced once it is changed \(([0-9a-f]{16})\).*\n`)

// signed returns a text with its signature as the last line, a comment between before and after.
func signed(text, before, after string) string {
	return fmt.Sprintf("%s%swritten by an export of bdia, not replaced once it is changed (%s)%s\n", text, before, digest(text), after)
}

func digest(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:16] }

const maxSigned = 1 << 20

// ours reports whether the file at path is as an export wrote it.
func ours(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	text, err := textfile.ReadFile(path, maxSigned)
	if err != nil {
		return false
	}
	m := signature.FindSubmatch(text)
	return m != nil && digest(signature.ReplaceAllString(string(text), "")) == string(m[1])
}

// Ends of the names of files beside an export that is one file itself.
const (
	cardEnd      = ".README.md"
	modelfileEnd = ".Modelfile"
)

// besideName is the name of a file beside the file out.
func besideName(out, end string) string {
	return strings.TrimSuffix(out, filepath.Ext(out)) + end
}

// besides lists the files that are written beside an export that is one file.
func (o Options) besides() (paths []string) {
	if !o.oneFile() {
		return nil
	}
	paths = append(paths, besideName(filepath.Clean(o.Out), cardEnd))
	if o.Format == "gguf" {
		paths = append(paths, besideName(filepath.Clean(o.Out), modelfileEnd))
	}
	return paths
}

// mayWriteBeside returns an error if a file beside o.Out must not be replaced.
func (o Options) mayWriteBeside() error {
	for _, path := range o.besides() {
		_, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("export: %w", err)
		case !ours(path):
			return &PlaceError{Path: path, Reason: "was written or changed by hand, and an export writes such a file beside its own; move it away"}
		case !o.Force:
			return &PlaceError{Path: path, Exists: true}
		}
	}
	return nil
}

// writeBeside writes model card and Modelfile: into the folder at j.path before it is placed, or beside the file that
// was.
func (j *job) writeBeside() error {
	for _, path := range j.besides() {
		text := j.card()
		if strings.HasSuffix(path, modelfileEnd) {
			text = j.modelfile(filepath.Base(filepath.Clean(j.Out)))
		}
		if err := atomicfile.Write(path, []byte(text)); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		j.report.Beside = append(j.report.Beside, path)
	}
	return nil
}
