package checkpoint

import "strings"

// Own reports whether name, of an entry of a run directory, belongs to this package: its lock, or the files of an
// interrupted transaction.
func Own(name string) bool {
	return name == lockFile || strings.HasPrefix(name, lockFile+"-") || name == pendingDir || name == journalFile
}
