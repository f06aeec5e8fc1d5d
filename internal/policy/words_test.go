package policy

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// phrases are turns of speech that make sentences hard to follow, each with a way out.
// One now and then does no harm, so there is a limit for each; CONTRIBUTING.md has examples.
var phrases = map[string]struct {
	match   *regexp.Regexp
	instead string
}{
	"that of, those of": {regexp.MustCompile(`(?i)\b(that|those) of\b`), "repeat the noun: the model's gradients"},
	"whose":             {regexp.MustCompile(`(?i)\bwhose\b`), "use with, or a sentence of its own"},
	"where it, where there, where none, where nothing": {
		regexp.MustCompile(`(?i)\bwhere (it|there|none|nothing)\b`), "use if, or when"},
}

// perThousand is the limit of each phrase in 1000 lines. Less than one is rounded up.
const perThousand = 3

// allowed returns the limit of each phrase in a text of that many lines.
func allowed(lines int) int { return max(1, lines*perThousand/1000) }

// prose is the text of a package's comments, or of a document.
type prose struct {
	lines int
	text  strings.Builder
}

// add appends text. No phrase goes on from one text to the next.
func (p *prose) add(text string) {
	p.lines += strings.Count(strings.TrimSpace(text), "\n") + 1
	p.text.WriteString(strings.Join(strings.Fields(text), " ") + "\n")
}

// excess names the phrases that p has too often.
func (p *prose) excess() (list []string) {
	for name, phrase := range phrases {
		found := phrase.match.FindAllStringIndex(p.text.String(), -1)
		if len(found) <= allowed(p.lines) {
			continue
		}
		list = append(list, name+" ("+phrase.instead+"):")
		for _, at := range found {
			list = append(list, "\n\t..."+p.text.String()[max(0, at[0]-40):min(p.text.Len(), at[1]+20)]+"...")
		}
	}
	return list
}

// TestCommentsUsePlainWords checks the comments of each package, without its tests.
func TestCommentsUsePlainWords(t *testing.T) {
	t.Parallel()
	packages := map[string]*prose{}
	for _, s := range sources(t, func(s *source) bool { return !s.isTest() && !s.generated() }) {
		p := packages[s.dir()]
		if p == nil {
			p = &prose{}
			packages[s.dir()] = p
		}
		for _, c := range s.file.Comments {
			p.add(c.Text())
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		if list := packages[dir].excess(); len(list) > 0 {
			t.Errorf("the comments of %s, %d lines, are hard to read: more than %d of %s",
				dir, packages[dir].lines, allowed(packages[dir].lines), strings.Join(list, " "))
		}
	}
}

// TestDocumentsUsePlainWords checks the documents, except the glossary, which names what to avoid.
func TestDocumentsUsePlainWords(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	for _, name := range append(names, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var p prose
		for section := range strings.SplitSeq("\n"+string(text), "\n## ") {
			if !strings.HasPrefix(section, "Words\n") {
				p.add(section)
			}
		}
		if list := p.excess(); len(list) > 0 {
			t.Errorf("%s, %d lines, is hard to read: more than %d of %s", filepath.Base(name), p.lines, allowed(p.lines), strings.Join(list, " "))
		}
	}
}

// maxColumns is the length of a line of comment, without its indentation.
const maxColumns = 120

// TestCommentsAreWrapped checks that no line of a comment on lines of its own is long.
func TestCommentsAreWrapped(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t, func(s *source) bool { return !s.isTest() && !s.generated() }) {
		for i, line := range strings.Split(string(s.text), "\n") {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "// ") && len([]rune(line)) > maxColumns {
				t.Errorf("%s:%d: a comment of %d columns; wrap it at %d", s.path, i+1, len([]rune(line)), maxColumns)
			}
		}
	}
}

// TestProse checks the check.
func TestProse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"The gradients equal those\nof the stored run.":                              0, // one does no harm
		"The sum is that of x, and the mean that of y.":                              1,
		"A model whose states are whole. A model\nwhose states are not.":             1,
		"Where there is none it is nil; where none is kept, nothing.":                1,
		"That of a, those of b; whose c, whose d; where it is e, where nothing is f": 3,
		"The gradients equal the stored run's. If there is no grid, it is nil.":      0,
		"what is left of what was known before":                                      0,
	} {
		var p prose
		p.add(text)
		got := 0
		for _, line := range p.excess() {
			if !strings.HasPrefix(line, "\n") {
				got++
			}
		}
		if got != want {
			t.Errorf("%q: %d phrases too often, want %d", text, got, want)
		}
	}
	if allowed(300) != 1 || allowed(1000) != 3 {
		t.Errorf("%d in 300 lines and %d in 1000, want 1 and 3", allowed(300), allowed(1000))
	}
}
