package policy

import (
	"bytes"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxLines is the budget of a file; the method itself has a smaller one.
const (
	maxLines       = 500
	maxMethodLines = 300
	maxExample     = 60 // lines of code of a program in examples: neither blank nor a comment
)

func TestLineBudgets(t *testing.T) {
	t.Parallel()
	seen := false
	for _, s := range sources(t, func(s *source) bool { return !s.isTest() && !s.generated() }) {
		limit := maxLines
		if s.path == "bdia.go" {
			limit, seen = maxMethodLines, true
		}
		if n := s.lines(); n > limit {
			t.Errorf("%s has %d lines; at most %d, so split it by purpose", s.path, n, limit)
		}
	}
	if !seen {
		t.Error("bdia.go is gone")
	}
}

// TestExamplesAreShort checks that each program in examples is one file, of few lines, with a test beside it.
func TestExamplesAreShort(t *testing.T) {
	t.Parallel()
	tested, programs := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t, func(s *source) bool { return s.within("examples") }) {
		if s.isTest() {
			tested[s.dir()] = true
			continue
		}
		if programs[s.dir()] {
			t.Errorf("%s: an example is one file", s.path)
		}
		programs[s.dir()] = true
		if n := s.codeLines(); n > maxExample {
			t.Errorf("%s has %d lines of code; at most %d, to be read at a glance", s.path, n, maxExample)
		}
	}
	for dir := range programs {
		if !tested[dir] {
			t.Errorf("%s has no test", dir)
		}
	}
}

// codeLines counts the lines of the file that are neither blank nor a comment.
func (s *source) codeLines() (n int) {
	for line := range strings.Lines(string(s.text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}

// quiet lists what a library leaves to programs, by import path; "*" is
// everything in the package.
var quiet = map[string][]string{
	"os":  {"Exit", "Stdout", "Stderr"},
	"fmt": {"Print", "Printf", "Println"},
	"log": {"*"},
}

func TestLibrariesAreQuiet(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t, func(s *source) bool {
		return !s.isTest() && !slices.ContainsFunc(programs, s.within)
	}) {
		for _, loud := range loudCalls(s) {
			t.Errorf("%s: only programs may exit or print", loud)
		}
	}
}

// loudCalls returns where s exits or prints, as "file:line: name".
func loudCalls(s *source) (found []string) {
	local := map[string]string{} // name in the file: import path
	for i, p := range s.imports() {
		name := path.Base(p)
		if id := s.file.Imports[i].Name; id != nil {
			name = id.Name
		}
		local[name] = p
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			id, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			names := quiet[local[id.Name]]
			if slices.Contains(names, n.Sel.Name) || slices.Contains(names, "*") {
				found = append(found, position(n)+": "+local[id.Name]+"."+n.Sel.Name)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
				found = append(found, position(n)+": "+id.Name)
			}
		}
		return true
	})
	return found
}

// TestLoudCalls checks the check.
func TestLoudCalls(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`fmt.Println("x")`:                1,
		`say.Exit(1)`:                     1,
		`fmt.Fprintln(say.Stderr, "x")`:   1,
		`log.Fatal("x")`:                  1,
		`println("x")`:                    1,
		`_ = fmt.Sprint("x")`:             0,
		`var f T; f.Exit(); f.Println(1)`: 0,
	} {
		s, err := parse("p/a.go", []byte("package p\n\nimport (\n\"fmt\"\n\"log\"\nsay \"os\"\n)\n\nfunc f() {"+body+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := loudCalls(s); len(got) != want {
			t.Errorf("%s: found %q, want %d", body, got, want)
		}
	}
}

// elsewhere matches paths that exist only where the project is developed.
var elsewhere = regexp.MustCompile(`(^|[^\w./])/(home|root|Users)/|\.\./shared\b`)

func TestNoPathsFromElsewhere(t *testing.T) {
	t.Parallel()
	skip := func(name string) bool {
		return name == "runs" || strings.HasPrefix(name, ".") && name != ".ci" && name != ".github"
	}
	err := walk(root, skip, func(name string) error {
		if strings.HasSuffix(name, "_test.go") || within(name, "internal/testkit") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || bytes.IndexByte(text, 0) >= 0 { // binary
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := elsewhere.FindString(line); found != "" {
				t.Errorf("%s:%d: names %q, a path that users do not have", name, i+1, strings.TrimSpace(found))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestElsewhere checks the check.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"see /home/ada/x":        true,
		`"/root/x"`:              true,
		"cat ../shared/x":        true,
		"a/home/x":               false,
		"/homes/x":               false,
		"https://a.b/home/x":     false,
		"../sharedlibs, shared/": false,
	} {
		if got := elsewhere.MatchString(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
