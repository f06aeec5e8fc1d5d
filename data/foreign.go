package data

import (
	"bytes"
	"strings"

	"github.com/bdia-go/bdia/internal/textfile"
)

// foreign says what a file is that is no text, and how to get text of it, by its first bytes or its ending. An empty
// name is none that is known.
func foreign(path string, head []byte) (name, remedy string) {
	if strings.HasSuffix(strings.ToLower(path), ".ipynb") {
		return "Jupyter notebook", "write it as text, for example with nbconvert"
	}
	name = textfile.Foreign(head)
	return name, remedies[name]
}

// remedies say how to get text of other formats.
var remedies = map[string]string{
	textfile.PDF:       "convert it to text, for example with pdftotext",
	textfile.RTF:       "save it as plain text",
	textfile.OldOffice: "save it as plain text in UTF-8",
	textfile.Zip:       "unpack it",
	textfile.Parquet:   `write it as JSON lines, for example by pandas.read_parquet("in.parquet").to_json("out.jsonl", orient="records", lines=True)`,
	textfile.Arrow:     "write it as JSON lines",
	textfile.Zstd:      "unpack it, or pack it with gzip",
	textfile.Bzip2:     "unpack it, or pack it with gzip",
	textfile.XZ:        "unpack it, or pack it with gzip",
	textfile.SevenZip:  "unpack it",
	textfile.RAR:       "unpack it",
	textfile.Tar:       "unpack it",
	textfile.SQLite:    "write its text as JSON lines",
	textfile.LFS:       "fetch the data with git lfs pull",
}

// office names a document that is a zip archive, by the names of the files in it.
func office(names []string) string {
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "word/"):
			return "Word"
		case strings.HasPrefix(name, "xl/"):
			return "Excel"
		case strings.HasPrefix(name, "ppt/"):
			return "PowerPoint"
		case name == "META-INF/container.xml":
			return "EPUB"
		case name == "META-INF/manifest.xml":
			return "OpenDocument"
		}
	}
	return ""
}

// isBinary reports whether a file that begins with head is no text: more than one byte in a hundred is zero.
func isBinary(head []byte) bool { return bytes.Count(head, []byte{0})*100 > len(head) }

// markup reports whether a file that begins with head is HTML.
func markup(head []byte) bool {
	begin := bytes.ToLower(bytes.TrimSpace(head[:min(len(head), 100)]))
	return bytes.HasPrefix(begin, []byte("<!doctype html")) || bytes.HasPrefix(begin, []byte("<html"))
}
