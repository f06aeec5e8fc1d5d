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
)

const modulePath = "github.com/bdia-go/bdia"

// root is the repository root, seen from this package's tests.
var root = filepath.Join("..", "..")

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
	err := walk(root, ignoredByGo, func(name string) error {
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		s, err := parse(name, text)
		all = append(all, s)
		return err
	})
	return all, err
})

// sources returns the Go files of the module for which keep holds.
func sources(t *testing.T, keep func(*source) bool) []*source {
	t.Helper()
	all, err := module()
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(slices.Clone(all), func(s *source) bool { return !keep(s) })
	if len(all) == 0 {
		t.Fatal("no files to check")
	}
	return all
}

// ignoredByGo reports whether the go command passes over a folder of that name,
// or it holds the output of training runs.
func ignoredByGo(name string) bool {
	return name == "runs" || name == "testdata" || name == "vendor" || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")
}

// walk calls f with the slash-separated path, relative to root, of every regular
// file below root, except in the folders that skip names.
func walk(root string, skip func(folder string) bool, f func(name string) error) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root && skip(d.Name()) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		return f(filepath.ToSlash(rel))
	})
}

// position returns where n stands, as file:line.
func position(n ast.Node) string {
	p := fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}
