package textfile

import (
	"bytes"
	"slices"
)

// Foreign names the format of a file that is no text, or only a pointer to one, by its first bytes: one of the names
// below, or empty if it is none of them. Gzip is none, since it is unpacked.
func Foreign(head []byte) string {
	i := slices.IndexFunc(formats, func(f format) bool {
		return len(head) > f.at && bytes.HasPrefix(head[f.at:], []byte(f.magic))
	})
	if i < 0 {
		return ""
	}
	return formats[i].name
}

// Names of formats.
const (
	PDF       = "PDF"
	RTF       = "RTF"
	OldOffice = "old Office" // Word, Excel or PowerPoint before 2007
	Zip       = "zip"        // new Office too
	Parquet   = "Parquet"
	Arrow     = "Arrow"
	Zstd      = "zstd"
	Bzip2     = "bzip2"
	XZ        = "xz"
	SevenZip  = "7-zip"
	RAR       = "RAR"
	Tar       = "tar"
	SQLite    = "SQLite"
	LFS       = "Git LFS pointer"
)

// format is what the files of a format have at a place.
type format struct {
	at          int
	magic, name string
}

var formats = []format{
	{0, "%PDF", PDF},
	{0, `{\rtf`, RTF},
	{0, "\xd0\xcf\x11\xe0", OldOffice},
	{0, "PK\x03\x04", Zip},
	{0, "PAR1", Parquet},
	{0, "ARROW1", Arrow},
	{0, "\xff\xff\xff\xff", Arrow}, // a stream
	{0, "\x28\xb5\x2f\xfd", Zstd},
	{0, "BZh", Bzip2},
	{0, "\xfd7zXZ", XZ},
	{0, "7z\xbc\xaf", SevenZip},
	{0, "Rar!", RAR},
	{257, "ustar", Tar},
	{0, "SQLite format 3", SQLite},
	{0, "version https://git-lfs", LFS},
}
