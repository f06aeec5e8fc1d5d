package policy

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// compiled are the first bytes of programs: of Linux, Windows and macOS.
var compiled = [][]byte{[]byte("\x7fELF"), []byte("MZ"), []byte("\xcf\xfa\xed\xfe")}

// TestNoProgramsAreCommitted checks that git keeps no compiled program, such as the result of go build.
func TestNoProgramsAreCommitted(t *testing.T) {
	t.Parallel()
	list, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Skip("this is not a checkout of git")
	}
	for _, name := range strings.Split(strings.TrimRight(string(list), "\x00"), "\x00") {
		f, err := os.Open(filepath.Join(root, name))
		if err != nil {
			continue // removed, but not from git yet
		}
		head := make([]byte, 4)
		n, _ := io.ReadFull(f, head)
		f.Close()
		if slices.ContainsFunc(compiled, func(magic []byte) bool { return bytes.HasPrefix(head[:n], magic) }) {
			t.Errorf("%s is a compiled program; take it out of the commit that added it", name)
		}
	}
}
