package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

const modulePath = "github.com/bdia-go/bdia"

// fset gives the positions of every file that these tests parse.
var fset = token.NewFileSet()

// source is one Go file of the module.
type source struct {
	path string // relative to the repository root, with slashes
	text []byte
	file *ast.File
}

func (s *source) dir() string     { return path.Dir(s.path) }
func (s *source) isTest() bool    { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) isProgram() bool { return s.file.Name.Name == "main" }
func (s *source) generated() bool { return ast.IsGenerated(s.file) }

// within reports whether the file lies in folder dir or below it.
func (s *source) within(dir string) bool { return within(s.path, dir) }

func within(name, dir string) bool { return strings.HasPrefix(name, dir+"/") }

// lines counts the lines of the file.
func (s *source) lines() int { return strings.Count(string(s.text), "\n") }

// imports lists the import paths of the file.
func (s *source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

func parse(name string, text []byte) (*source, error) {
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{path: name, text: text, file: f}, nil
}

// module parses every Go file below the repository root once, whatever its
// build tags. Folders that the go command ignores are left out.
var module = sync.OnceValues(func() ([]*source, error) {
	var all []*source
	err := walk(filepath.Join("..", ".."), ignoredByGo, func(name string, text []byte) error {
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		s, err := parse(name, text)
		if err == nil {
			all = append(all, s)
		}
		return err
	})
	return all, err
})

// sources returns the Go files of the module for which keep holds.
func sources(t *testing.T, keep func(*source) bool) []*source {
	t.Helper()
	if root := testkit.RepoRoot(t); !sameFolder(root, filepath.Join("..", "..")) {
		t.Fatalf("the repository root is %s, not two folders up", root)
	}
	all, err := module()
	if err != nil {
		t.Fatal(err)
	}
	all = slices.Clone(all)
	all = slices.DeleteFunc(all, func(s *source) bool { return !keep(s) })
	if len(all) == 0 {
		t.Fatal("no files to check")
	}
	return all
}

func sameFolder(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// ignoredByGo reports whether the go command passes over a folder of that name.
func ignoredByGo(name string) bool {
	return name == "testdata" || name == "vendor" || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")
}

// walk calls f with the slash-separated relative name and the text of every
// regular file below root, except in the folders that skip names.
func walk(root string, skip func(name string) bool, f func(name string, text []byte) error) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != root && skip(d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel), text)
	})
}

// position returns where n stands, as file:line.
func position(n ast.Node) string {
	p := fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}
