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

// flagOrCommand matches what only the command line has: --flag, or bdia COMMAND.
var flagOrCommand = regexp.MustCompile(`(^|[\s(])--[a-z]|\bbdia (bench|classify|compare|eval|export|finetune|generate|plan|quickstart|score|tokenizer|train|translate|verify)\b`)

// TestLibrariesDoNotSpeakOfFlags checks that texts outside programs name no flags and no
// commands: a caller of the library has neither. An error carries fields, and the command
// line adds the flag.
func TestLibrariesDoNotSpeakOfFlags(t *testing.T) {
	t.Parallel()
	for _, s := range libraries(t) {
		for _, text := range s.texts() {
			if flagOrCommand.MatchString(text) && !strings.Contains(text, "without --sparse") { // of tar
				t.Errorf("%s: a library does not know the command line: %q", s.path, text)
			}
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

// TestNoSwitchOnTasks checks that what tasks differ in stands behind an interface, with a
// file for each task: no switch asks which task a run has.
func TestNoSwitchOnTasks(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t, func(s *source) bool { return !s.isTest() && !s.within("experiments") }) {
		for _, line := range taskSwitchesOf(s) {
			t.Errorf("%s:%d: a switch on tasks; put what differs behind train.Task", s.path, line)
		}
	}
}

// taskWord matches an identifier that stands for a task.
var taskWord = regexp.MustCompile(`(?i)\btask(text|image|images|pairs|translation|completion)?\b`)

// taskSwitchesOf returns the lines of the switches on tasks: on a value, in the conditions
// of the cases, or on the type.
func taskSwitchesOf(s *source) (lines []int) {
	at := func(n ast.Node) string {
		from, to := fset.Position(n.Pos()).Offset, fset.Position(n.End()).Offset
		return string(s.text[from:to])
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		var asked []ast.Node
		cases := func(body *ast.BlockStmt) {
			for _, c := range body.List {
				for _, e := range c.(*ast.CaseClause).List {
					asked = append(asked, e)
				}
			}
		}
		switch n := n.(type) {
		case *ast.TypeSwitchStmt:
			asked = append(asked, n.Assign)
			cases(n.Body)
		case *ast.SwitchStmt:
			if n.Tag != nil {
				asked = append(asked, n.Tag)
				break
			}
			cases(n.Body)
		default:
			return true
		}
		for _, a := range asked {
			if taskWord.MatchString(at(a)) {
				lines = append(lines, fset.Position(n.Pos()).Line)
				break
			}
		}
		return true
	})
	return lines
}

// TestTaskSwitchesOf checks the check.
func TestTaskSwitchesOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`switch r.Task { case "text": }`:                1,
		`switch { case c.Task == TaskText: case ok: }`:  1,
		`switch t := r.Task.(type) { case nil: _ = t }`: 1,
		`switch t := t.(type) { case *text.Task: }`:     1,
		`switch kind { case "task": }`:                  0,
		`switch { case len(tasks) > 0: }`:               0,
		`if r.Task == nil { }`:                          0,
	} {
		s, err := parse("a/a.go", []byte("package a\n\nfunc f() {\n"+body+"\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := taskSwitchesOf(s); len(got) != want {
			t.Errorf("%s: %v, want %d", body, got, want)
		}
	}
}
