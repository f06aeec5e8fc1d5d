package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rule is what one package may import beside the standard library.
type rule struct {
	pkg     string // folder below the repository root
	module  string // packages of this module
	foreign string // modules of others
}

// rules is the import order of the module. It is policy: each row says what a
// package may import in files that are not tests, and may name only packages of
// rows above it, so imports point downward and there is no cycle. A package
// without a row fails the test. Programs (cmd, examples, experiments) may import anything.
var rules = []rule{
	{"tensor", "", ""},
	{"internal/rng", "", ""},
	{"internal/cpufeat", "", "golang.org/x/sys"},
	{"internal/disk", "", ""},
	{"internal/mmap", "internal/disk", "golang.org/x/sys"},
	{"internal/sysmem", "", "golang.org/x/sys"},
	{"internal/half", "", ""},
	{"internal/pmath", "", ""},
	{"internal/spell", "", ""},
	{"internal/faultfs", "internal/disk internal/rng", ""},
	{"internal/atomicfile", "internal/disk", ""},
	{"internal/textfile", "internal/disk", "golang.org/x/text"},
	{"internal/jsonfile", "", ""},
	{"internal/delimited", "", ""},
	{"internal/bytesize", "", ""},
	{"internal/idfile", "internal/atomicfile", ""},
	{"internal/recordfile", "internal/disk", "github.com/zeebo/xxh3"},
	{"internal/seal", "internal/disk", "github.com/zeebo/xxh3"},
	{"internal/policy", "", ""},
	{"metric", "internal/disk internal/pmath internal/recordfile internal/textfile", "google.golang.org/protobuf"},
	{"metric/plot", "internal/atomicfile metric", "gonum.org/v1/plot"},
	{"score", "internal/textfile", ""},
	{"tokenizer", "internal/atomicfile internal/jsonfile internal/textfile", "golang.org/x/text"},
	{"internal/jinja", "internal/pmath", ""}, // no foreign one has limits, or keeps white space as Jinja2 does: see its package comment
	{"chat", "internal/jinja tokenizer", ""},
	{"format/safetensors", "internal/half internal/jsonfile internal/mmap", ""},
	{"format/gguf", "internal/half internal/mmap internal/seal", ""},
	{"format/onnx", "internal/disk internal/mmap internal/seal", "google.golang.org/protobuf"},
	{"internal/onnxeval", "format/onnx", ""},
	{"internal/testkit", "", ""},
	{"internal/golden", "format/safetensors internal/testkit", ""},
	{"data/tally", "", ""},
	{"data", "data/tally internal/atomicfile internal/delimited internal/disk internal/idfile internal/mmap internal/rng internal/textfile", ""},
	{"data/images", "data/tally internal/delimited internal/mmap internal/pmath internal/rng internal/textfile", "golang.org/x/image"},
	{"data/pairs", "internal/delimited internal/disk internal/idfile internal/mmap internal/rng internal/textfile", ""},
	{"data/parquet", "internal/textfile", "github.com/parquet-go/parquet-go"},
	{"checkpoint", "internal/disk internal/recordfile internal/textfile", "github.com/zeebo/xxh3 golang.org/x/sys"},

	{"kernel", "internal/cpufeat internal/half internal/rng", ""},
	{"backend", "internal/bytesize internal/rng tensor", ""},
	{"backend/plan", "backend tensor", ""},
	{"backend/meter", "backend tensor", ""},
	{"backend/backendtest", "backend internal/half internal/rng internal/testkit tensor", ""},
	{"backend/cpu", "backend backend/plan internal/cpufeat internal/mmap internal/rng internal/sysmem kernel tensor", ""},

	{".", "backend internal/rng tensor", ""}, // the method
	{"nn", "backend internal/pmath internal/rng tensor", ""},
	{"optim", "backend internal/pmath tensor", ""},
	{"model", ". backend internal/pmath nn tensor", ""},
	{"verify", ". backend model tensor", ""},
	{"eval", ". backend data data/images data/pairs internal/pmath internal/rng metric model", ""},
	{"convert", "backend format/gguf format/onnx format/safetensors internal/half internal/jsonfile internal/textfile model nn tensor tokenizer", ""},
	{"hub", ". backend chat checkpoint convert format/safetensors internal/atomicfile internal/bytesize internal/disk internal/spell internal/textfile model tensor tokenizer", ""}, // no YAML: see hub/settings.go
	{"generate", ". backend chat data/pairs hub internal/cpufeat internal/pmath internal/rng kernel model tokenizer", ""},
	{"train", ". backend checkpoint convert data data/tally format/safetensors hub internal/atomicfile internal/disk internal/textfile metric model optim tensor tokenizer", "github.com/goccy/go-yaml"},
	{"train/pairs", ". backend convert data data/pairs data/tally eval generate hub internal/rng metric model optim tokenizer train verify", ""},
	{"train/images", ". backend convert data/images data/tally eval hub internal/rng metric model optim train verify", ""},
	{"train/tune", ". backend chat checkpoint convert data/pairs eval format/safetensors generate hub internal/pmath internal/rng metric model optim tensor tokenizer train train/pairs verify", ""},
	{"train/text", ". backend checkpoint data generate internal/rng model optim tensor tokenizer train train/tune verify", ""},
	{"internal/traintest", ". backend checkpoint convert format/safetensors internal/cpufeat internal/testkit metric model optim tensor tokenizer train", "github.com/google/go-cmp"},
	{"export", ". backend checkpoint convert data/images format/gguf format/onnx format/safetensors hub internal/atomicfile internal/disk internal/onnxeval internal/rng internal/textfile model tokenizer", ""},
	{"bench", "backend backend/meter internal/cpufeat internal/rng kernel tensor train", "golang.org/x/sys"},
}

// programs may import what they like; nothing may import them.
var programs = []string{"cmd", "examples", "experiments"}

// testModules may be imported by the tests of every package.
const testModules = "github.com/google/go-cmp github.com/ardanlabs/jinja github.com/dlclark/regexp2/v2"

// restricted are packages of the standard library that few may import.
var restricted = map[string]string{
	"C":            "", // no cgo
	"unsafe":       "kernel backend/cpu internal/mmap",
	"testing":      "backend/backendtest internal/golden internal/testkit internal/traintest",
	"math/rand":    "", // randomness is counter-based: internal/rng
	"math/rand/v2": "",
	"net":          "", // no network outside cmd
	"net/http":     "",
	"log":          "",
	"flag":         "",
}

func TestRulesPointDownward(t *testing.T) {
	t.Parallel()
	above := map[string]bool{}
	for _, r := range rules {
		if above[r.pkg] {
			t.Errorf("%s has two rows", r.pkg)
		}
		for _, p := range strings.Fields(r.module) {
			if !above[p] {
				t.Errorf("%s names %s, which is not in a row above it", r.pkg, p)
			}
		}
		above[r.pkg] = true
		if strings.Count(r.pkg, "/") > 1 {
			t.Errorf("%s lies more than two folders deep", r.pkg)
		}
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	all := sources(t, func(s *source) bool {
		return !slices.ContainsFunc(programs, s.within)
	})
	for _, s := range all {
		for _, complaint := range badImports(s, rules) {
			t.Error(complaint)
		}
	}
}

// badImports says which imports of s the rules forbid.
func badImports(s *source, rules []rule) (complaints []string) {
	complain := func(format string, args ...any) {
		complaints = append(complaints, s.path+": "+fmt.Sprintf(format, args...))
	}
	i := slices.IndexFunc(rules, func(r rule) bool { return r.pkg == s.dir() })
	if i < 0 {
		complain("package %s has no row in the table of imports; add one", s.dir())
		return complaints
	}
	r := rules[i]
	foreign := strings.Fields(r.foreign)
	if s.isTest() {
		foreign = append(foreign, strings.Fields(testModules)...)
	}
	for _, p := range s.imports() {
		first, _, _ := strings.Cut(p, "/")
		own := strings.TrimPrefix(strings.TrimPrefix(p, modulePath), "/")
		if p == modulePath {
			own = "."
		}
		switch {
		case p == modulePath || within(p, modulePath):
			if slices.ContainsFunc(programs, func(d string) bool { return own == d || within(own, d) }) {
				complain("imports the program %s", own)
			} else if !s.isTest() && !slices.Contains(strings.Fields(r.module), own) {
				complain("package %s may not import %s", r.pkg, own)
			}
		case strings.Contains(first, "."):
			if !slices.ContainsFunc(foreign, func(m string) bool { return p == m || within(p, m) }) {
				complain("package %s may not import %s", r.pkg, p)
			}
		default:
			if allowed, ok := restricted[p]; ok && !s.isTest() && !slices.Contains(strings.Fields(allowed), r.pkg) {
				complain("package %s may not import %s", r.pkg, p)
			}
		}
	}
	return complaints
}

// TestBadImports checks the check.
func TestBadImports(t *testing.T) {
	t.Parallel()
	table := []rule{{"low", "", ""}, {"high", "low", "golang.org/x/sys"}}
	const own = modulePath + "/"
	for _, c := range []struct {
		file, path string
		bad        bool
	}{
		{"high/a.go", own + "low", false},
		{"low/a.go", own + "high", true},
		{"low/a.go", modulePath, true},
		{"low/a_test.go", own + "high", false},
		{"low/a_test.go", own + "cmd/bdia", true},
		{"high/a.go", "golang.org/x/sys/unix", false},
		{"high/a.go", "golang.org/x/system", true},
		{"low/a.go", "golang.org/x/sys/unix", true},
		{"low/a_test.go", "github.com/google/go-cmp/cmp", false},
		{"low/a.go", "github.com/google/go-cmp/cmp", true},
		{"low/a.go", "fmt", false},
		{"low/a.go", "unsafe", true},
		{"low/a_test.go", "math/rand/v2", false},
		{"other/a.go", "fmt", true},
	} {
		s, err := parse(c.file, fmt.Appendf(nil, "package p\n\nimport _ %q\n", c.path))
		if err != nil {
			t.Fatal(err)
		}
		if bad := badImports(s, table); len(bad) > 0 != c.bad {
			t.Errorf("%s importing %s: %q, want a complaint: %v", c.file, c.path, bad, c.bad)
		}
	}
}
