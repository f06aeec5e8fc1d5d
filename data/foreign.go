package data

import (
	"bytes"
	"strings"
)

// foreign says what a file is that is no text, and how to get text of it, by its first bytes or its ending. An empty
// name is none that is known.
func foreign(path string, head []byte) (name, remedy string) {
	if strings.HasSuffix(strings.ToLower(path), ".ipynb") {
		return "Jupyter notebook", "write it as text, for example with nbconvert"
	}
	for _, f := range []struct {
		at                  int
		magic, name, remedy string
	}{
		{0, "%PDF-", "PDF", "convert it to text, for example with pdftotext"},
		{0, `{\rtf`, "RTF", "save it as plain text"},
		{0, "\xd0\xcf\x11\xe0", "old Office", "save it as plain text in UTF-8"},
		{0, "PK\x03\x04", "zip", "unpack it"},
		{0, "PAR1", "Parquet", `write it as JSON lines, for example by pandas.read_parquet("in.parquet").to_json("out.jsonl", orient="records", lines=True)`},
		{0, "ARROW1", "Arrow", "write it as JSON lines"},
		{0, "\x28\xb5\x2f\xfd", "zstd", "unpack it, or pack it with gzip"},
		{0, "BZh", "bzip2", "unpack it, or pack it with gzip"},
		{0, "\xfd7zXZ", "xz", "unpack it, or pack it with gzip"},
		{0, "7z\xbc\xaf", "7-zip", "unpack it"},
		{0, "Rar!", "RAR", "unpack it"},
		{257, "ustar", "tar", "unpack it"},
		{0, "SQLite format 3", "SQLite", "write its text as JSON lines"},
	} {
		if len(head) > f.at && bytes.HasPrefix(head[f.at:], []byte(f.magic)) {
			return f.name, f.remedy
		}
	}
	return "", ""
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
