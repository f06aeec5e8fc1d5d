package policy

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// maxExampleLines is the budget of an Example: it shows one thing.
const maxExampleLines = 60

// TestPublicPackagesHaveExamples checks that each package which others can import has an Example that go test runs:
// one with an Output.
func TestPublicPackagesHaveExamples(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, s := range sources(t, func(s *source) bool { return s.isTest() }) {
		for _, f := range s.examples() {
			have[s.dir()] = true
			if from, to := fset.Position(f.Pos()).Line, fset.Position(f.End()).Line; to-from >= maxExampleLines {
				t.Errorf("%s has %d lines; at most %d", position(f), to-from+1, maxExampleLines)
			}
		}
	}
	for _, r := range rules {
		if !within(r.pkg, "internal") && !have[r.pkg] {
			t.Errorf("package %s has no Example with an Output; show its one main thing", r.pkg)
		}
	}
}

// examples lists the functions of the file that go test runs as examples.
func (s *source) examples() (list []*ast.FuncDecl) {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Example") {
			continue
		}
		if slices.ContainsFunc(s.file.Comments, func(c *ast.CommentGroup) bool {
			return inside(c, f.Body) && strings.HasPrefix(c.Text(), "Output:")
		}) {
			list = append(list, f)
		}
	}
	return list
}

func inside(n, in ast.Node) bool {
	between := func(p token.Pos) bool { return in.Pos() <= p && p <= in.End() }
	return between(n.Pos()) && between(n.End())
}

// TestExamples checks the check.
func TestExamples(t *testing.T) {
	t.Parallel()
	s, err := parse("p/a_test.go", []byte(`package p_test

func ExampleA() {
	f()
	// Output: x
}

func ExampleB() { f() }

// Output: x
func ExampleC() {}

func helper() {
	// Output: x
}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.examples(); len(got) != 1 || got[0].Name.Name != "ExampleA" {
		t.Errorf("%d examples", len(got))
	}
}
