package policy

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// elementary are functions of the standard library with results that depend on the processor.
var elementary = strings.Fields("Acos Acosh Asin Asinh Atan Atan2 Atanh Cbrt Cos Cosh Erf Erfc Exp Exp2 Expm1 Gamma Hypot Lgamma " +
	"Log Log10 Log1p Log2 Pow Sin Sincos Sinh Tan Tanh")

// tolerant says why files may use them all the same.
var tolerant = map[string]string{
	"backend/backendtest": "references, compared with a tolerance",
	"internal/onnxeval":   "compared with a tolerance",
	"kernel/exp.go":       "of 0, infinities and negative numbers, which are the same everywhere",
	"score":               "figures of texts, which are printed rounded",
	"train/tune/auto.go":  "settings that are chosen, rounded",
	"metric/plot":         "places in pictures",
	"cmd":                 "for people, rounded",
}

// TestElementaryFunctions: numbers that a run depends on are the same on every machine (package internal/pmath).
func TestElementaryFunctions(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, s := range sources(t, func(s *source) bool { return !s.isTest() && !s.within("internal/pmath") }) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if p, ok := call.X.(*ast.Ident); !ok || p.Name != "math" || !slices.Contains(elementary, call.Sel.Name) {
				return true
			}
			for at := range tolerant {
				if s.path == at || s.within(at) {
					used[at] = true
					return true
				}
			}
			t.Errorf("%s: math.%s depends on the processor; use internal/pmath", s.path, call.Sel.Name)
			return true
		})
	}
	for at := range tolerant {
		if !used[at] {
			t.Errorf("%s uses no elementary function: take it off the list", at)
		}
	}
}
