package policy

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// quoted matches code in a Markdown file: a block of Go, or a piece between backquotes.
var quoted = regexp.MustCompile("(?s)```go\n.*?```|`[^`\n]+`")

// symbol matches package.Name, or package.Type.Member.
var symbol = regexp.MustCompile(`\b([a-z][a-z0-9]*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)

// TestDocumentsNameSymbols checks that what the documents name as package.Symbol exists.
func TestDocumentsNameSymbols(t *testing.T) {
	t.Parallel()
	known := exported(sources(t, func(s *source) bool { return !s.isTest() }))
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, file := range append(files, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range quoted.FindAllString(string(text), -1) {
			for _, m := range symbol.FindAllStringSubmatch(code, -1) {
				if !known[m[1]] {
					continue // another package, or a variable
				}
				named++
				if name := strings.TrimSuffix(m[0], "."); !known[name] {
					t.Errorf("%s names %s, which does not exist", filepath.Base(file), name)
				}
			}
		}
	}
	if named == 0 {
		t.Error("the documents name nothing")
	}
}

// exported is the set of names of packages, and of package.Symbol and package.Type.Member in them.
func exported(files []*source) map[string]bool {
	known := map[string]bool{}
	for _, s := range files {
		name := s.file.Name.Name
		if s.isProgram() || s.within("internal") {
			continue
		}
		known[name] = true
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					known[name+"."+d.Name.Name] = true
				} else {
					known[name+"."+receiver(d.Recv.List[0].Type)+"."+d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						for _, id := range spec.Names {
							known[name+"."+id.Name] = true
						}
					case *ast.TypeSpec:
						known[name+"."+spec.Name.Name] = true
						for _, member := range members(spec.Type) {
							known[name+"."+spec.Name.Name+"."+member] = true
						}
					}
				}
			}
		}
	}
	return known
}

// members lists the fields of a struct and the methods of an interface.
func members(e ast.Expr) (names []string) {
	var list *ast.FieldList
	switch e := e.(type) {
	case *ast.StructType:
		list = e.Fields
	case *ast.InterfaceType:
		list = e.Methods
	default:
		return nil
	}
	for _, f := range list.List {
		for _, id := range f.Names {
			names = append(names, id.Name)
		}
	}
	return names
}
