package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// TestScoreInputs scores files as people have them: no last line end, CRLF, a lone CR, U+2028 and a zero-width space
// within lines, a byte order mark, empty lines, UTF-16. Numbers are those of sacreBLEU, for which a byte order mark is a
// character.
func TestScoreInputs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "inputs", "70-score-inputs")
	var b strings.Builder
	for _, files := range []string{
		"abc-h1 abc.ref", "abc-h2 abc.ref", "abc-none abc.ref", "abc-empty abc.ref", "garbage-h abc.ref",
		"hyp-noeol abc.ref", "hyp-crlf abc.ref", "hyp-cr abc.ref", "hyp-u2028 abc.ref", "hyp-zwsp abc.ref", "hyp-bom abc.ref",
		"hyp-blank-end abc.ref", "hyp-latin1 abc.ref", "hyp-utf16 abc.ref", "hyp-nfd ref-nfc",
		"abc-h1 ref-empty", "abc-h1 ref-empty --allow-empty", "abc-h1 abc.ref ref2-some-empty --allow-empty",
	} {
		hyp, refs, _ := strings.Cut(files, " ")
		for _, metric := range []string{"bleu", "chrf", "ter"} {
			args := []string{"score", metric, "--hypotheses", filepath.Join(dir, hyp), "--references"}
			for _, ref := range strings.Fields(refs) {
				if !strings.HasPrefix(ref, "--") {
					ref = filepath.Join(dir, ref)
				}
				args = append(args, ref)
			}
			r := call(args...)
			if r.code != cli.ExitOK && metric != "bleu" { // the same line for all
				continue
			}
			text := strings.ReplaceAll(r.out+r.err, dir+string(filepath.Separator), "")
			fmt.Fprintf(&b, "$ score %s %s\n%s", metric, files, text)
		}
	}
	golden(t, "score-inputs", b.String())
}

// TestScoreChallenge: the NIST of the E2E challenge's script for texts of a weak model.
func TestScoreChallenge(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "score", "testdata", "nist")
	r := mustCall(t, "score", "e2e", "--hypotheses", filepath.Join(dir, "hyp.txt"), "--references", filepath.Join(dir, "refs.csv"))
	for _, line := range []string{"NIST                   0.1320\n", "option -p, it is 0.1474", "mteval-v13a, it is 2.2106"} {
		if !strings.Contains(r.out, line) {
			t.Errorf("no %q in\n%s", line, r.out)
		}
	}
}
