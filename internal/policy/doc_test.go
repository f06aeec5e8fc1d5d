package policy

import (
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestExportedSymbolsAreDocumented(t *testing.T) {
	t.Parallel()
	packages := map[string][]*source{}
	for _, s := range sources(t, func(s *source) bool { return !s.isTest() && !s.generated() }) {
		packages[s.dir()] = append(packages[s.dir()], s)
	}
	for dir, files := range packages {
		if !slices.ContainsFunc(files, func(s *source) bool { return s.file.Doc != nil }) {
			t.Errorf("package %s has no doc comment", dir)
		}
		if files[0].isProgram() {
			continue
		}
		for _, name := range undocumented(files) {
			t.Errorf("%s has no doc comment", name)
		}
	}
}

// undocumented lists the exported symbols of a package that no file documents,
// each with one place where it is declared.
func undocumented(files []*source) []string {
	d := docs{where: map[string]string{}, done: map[string]bool{}}
	for _, s := range files {
		for i, decl := range s.file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				d.function(s.file, i, decl)
			case *ast.GenDecl:
				d.group(decl)
			}
		}
	}
	var list []string
	for name, where := range d.where {
		if !d.done[name] {
			list = append(list, where+": "+name)
		}
	}
	slices.Sort(list)
	return list
}

// docs collects the symbols of a package: where each stands, and which are
// documented. A symbol with one declaration for each platform needs one comment.
type docs struct {
	where map[string]string
	done  map[string]bool
}

func (d *docs) add(name string, n ast.Node, documented bool) {
	d.where[name] = position(n)
	d.done[name] = d.done[name] || documented
}

// function adds declaration i of the file, if it is exported.
func (d *docs) function(f *ast.File, i int, decl *ast.FuncDecl) {
	name := decl.Name.Name
	if decl.Recv != nil {
		owner := receiver(decl.Recv.List[0].Type)
		if !ast.IsExported(owner) {
			return
		}
		name = owner + "." + name
	}
	if decl.Name.IsExported() {
		d.add(name, decl, decl.Doc != nil || namedAbove(f, i) || groupComment(f, i))
	}
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	}
	return ""
}

// namedAbove reports whether the comment on the declaration before i opens with
// the names of both: "A and B ...".
func namedAbove(f *ast.File, i int) bool {
	if i == 0 {
		return false
	}
	before, ok := f.Decls[i-1].(*ast.FuncDecl)
	return ok && strings.HasPrefix(before.Doc.Text(), before.Name.Name+" and "+f.Decls[i].(*ast.FuncDecl).Name.Name+" ")
}

// groupComment reports whether declaration i belongs to a run of short methods
// that share one comment: one that stands apart above the run or, for methods on
// consecutive lines, the comment on the first.
func groupComment(f *ast.File, i int) bool {
	line := func(p token.Pos) int { return fset.Position(p).Line }
	const short = 4 // lines
	consecutive := true
	for ; i >= 0; i-- {
		m, ok := f.Decls[i].(*ast.FuncDecl)
		if !ok || m.Recv == nil || line(m.End())-line(m.Pos()) >= short {
			return false
		}
		if m.Doc != nil {
			return consecutive
		}
		var above token.Pos // end of the declaration before
		if i > 0 {
			above = f.Decls[i-1].End()
		}
		if slices.ContainsFunc(f.Comments, func(c *ast.CommentGroup) bool {
			return c.Pos() > above && line(m.Pos())-line(c.End()) == 2
		}) {
			return true
		}
		consecutive = consecutive && i > 0 && line(m.Pos())-line(above) == 1
	}
	return false
}

// group adds the exported symbols of a const, var or type declaration. A
// comment on the group, on the symbol or behind it will do, and the constants of
// an enumeration are documented by their type.
func (d *docs) group(decl *ast.GenDecl) {
	enumeration := false
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() {
				d.add(spec.Name.Name, spec, decl.Doc != nil || spec.Doc != nil || spec.Comment != nil)
			}
		case *ast.ValueSpec:
			if decl.Tok == token.CONST && (spec.Type != nil || spec.Values != nil) {
				id, ok := spec.Type.(*ast.Ident)
				enumeration = ok && id.IsExported()
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					d.add(name.Name, spec, decl.Doc != nil || spec.Doc != nil || spec.Comment != nil || enumeration)
				}
			}
		}
	}
}

// TestUndocumented checks the check.
func TestUndocumented(t *testing.T) {
	t.Parallel()
	const text = `package p

// T is documented.
type T struct{}

type U struct{} // U has a comment behind it

type Bare struct{}

const (
	A T = iota
	B
)

const Loose = 1

// V and W are documented together.
var (
	V = 1
	W = 2
)

var X int

// F is documented.
func F() {}

func G() {}

func hidden() {}

func (t *T) Long() {
	hidden()
	hidden()
}

// Nothing happens here.

func (t *T) One()   {}
func (t T) Two()    {}
func (*T) Three() {
}

func (*T) Apart() {
	hidden()
}

func (*T) TooLong() {
	hidden()
	hidden()
	hidden()
}

// Head is the first of a run.
func (*T) Head() {}
func (*T) Tail() {}

func (*T) Gap() {}

// Fore and Aft belong together.
func (*T) Fore() { hidden() }

func (*T) Aft() {
	hidden()
	hidden()
}

func (*T) After() {}

func (h hiddenType) Method() {}

type hiddenType struct{}

func Elsewhere() {}
`
	const other = `package p

// Elsewhere is documented here.
func Elsewhere() {}
`
	var files []*source
	for name, text := range map[string]string{"p/a.go": text, "p/b.go": other} {
		s, err := parse(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, s)
	}
	got := map[string]bool{}
	for _, s := range undocumented(files) {
		_, name, _ := strings.Cut(s, ": ")
		got[name] = true
	}
	want := map[string]bool{"Bare": true, "Loose": true, "X": true, "G": true, "T.Long": true, "T.TooLong": true, "T.Gap": true, "T.After": true}
	if !maps.Equal(got, want) {
		t.Errorf("undocumented: %v, want %v", got, want)
	}
}
