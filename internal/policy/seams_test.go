package policy

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The seams of the module: libraries know neither the command line nor a device.

// flagsInErrors lists packages that still name flags or commands in texts. It only shrinks.
var flagsInErrors = []string{
	"model",
	"train",
}

// flagOrCommand matches what only the command line has: --flag, or bdia COMMAND.
var flagOrCommand = regexp.MustCompile(`(^|[\s(])--[a-z]|\bbdia (bench|classify|compare|eval|export|finetune|generate|plan|quickstart|score|tokenizer|train|translate|verify)\b`)

// TestLibrariesDoNotSpeakOfFlags checks that texts outside programs name no flags and no
// commands: a caller of the library has neither. An error carries fields, and the command
// line adds the flag.
func TestLibrariesDoNotSpeakOfFlags(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, s := range libraries(t) {
		for _, text := range s.texts() {
			if !flagOrCommand.MatchString(text) || strings.Contains(text, "without --sparse") { // of tar
				continue
			}
			found[s.dir()] = true
			if !slices.Contains(flagsInErrors, s.dir()) {
				t.Errorf("%s: a library does not know the command line: %q", s.path, text)
			}
		}
	}
	for _, dir := range flagsInErrors {
		if !found[dir] {
			t.Errorf("%s names no flags any more; take it off the list", dir)
		}
	}
}

// TestOnlyProgramsNameDevices checks that packages above backend open devices by name.
// A blank import, which makes the device available, is for programs.
func TestOnlyProgramsNameDevices(t *testing.T) {
	t.Parallel()
	const device = modulePath + "/backend/cpu"
	for _, s := range libraries(t) {
		if !s.within("backend") && slices.Contains(s.imports(), device) {
			t.Errorf("%s imports backend/cpu; open devices with backend.Open or backend.Fit", s.path)
		}
	}
}

// libraries lists the files that are neither tests nor programs nor of this package.
func libraries(t *testing.T) []*source {
	t.Helper()
	return sources(t, func(s *source) bool {
		return !s.isTest() && !s.isProgram() && !slices.ContainsFunc(programs, s.within) && !s.within("internal/policy") && !s.within("kernel/_gen")
	})
}

// texts lists the string literals of the file, apart from import paths and struct tags.
func (s *source) texts() (list []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			return n.Tag == nil
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				text, _ := strconv.Unquote(n.Value)
				list = append(list, text)
			}
		}
		return true
	})
	return list
}
