package policy

import (
	"go/ast"
	"slices"
	"testing"
)

// writes are the functions of package os that change files.
var writes = []string{"Chmod", "Chtimes", "CopyFS", "Create", "CreateTemp", "Link", "Mkdir", "MkdirAll", "MkdirTemp", "OpenFile", "OpenRoot",
	"Remove", "RemoveAll", "Rename", "Symlink", "Truncate", "WriteFile"}

// pastDisk are the packages that may write files with package os, and why.
var pastDisk = map[string]string{
	"internal/disk":      "it is the seam",
	"internal/traintest": "it writes data for tests",
	"internal/faultfs":   "it lays out what a power cut left, for tests",
	"internal/testkit":   "it is for tests",
	"kernel/_gen":        "it writes source code, for developers",
	"examples":           "they are whole programs that others copy",
	"experiments":        "they are programs behind the documents, which users do not run",
}

// TestFilesAreWrittenThroughDisk checks that whatever the product writes goes through internal/disk, where tests let
// operations fail and cut the power between them.
func TestFilesAreWrittenThroughDisk(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t, func(s *source) bool { return !s.isTest() }) {
		if slices.ContainsFunc(keys(pastDisk), func(dir string) bool { return s.dir() == dir || s.within(dir) }) {
			continue
		}
		for _, n := range selectors(s, "os", writes) {
			t.Errorf("%s: os.%s writes past internal/disk", position(n), n.Sel.Name)
		}
	}
}

// selectors lists where the file uses one of names of the package pkg of the standard library.
func selectors(s *source, pkg string, names []string) (list []*ast.SelectorExpr) {
	if !slices.Contains(s.imports(), pkg) {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, sel.Sel.Name) {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg {
				list = append(list, sel)
			}
		}
		return true
	})
	return list
}

func keys(m map[string]string) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

// TestSelectors checks the check.
func TestSelectors(t *testing.T) {
	t.Parallel()
	s, err := parse("a/a.go", []byte("package a\n\nimport \"os\"\n\nfunc f() {\n\tos.Open(\"\")\n\tos.Create(\"\")\n\tx.Create()\n\tw := os.Rename\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(selectors(s, "os", writes)); n != 2 {
		t.Errorf("%d uses, want 2", n)
	}
}
