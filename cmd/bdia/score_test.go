package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// scoreFolder has the example of sacreBLEU's README, and files that are wrong.
func scoreFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "hyp", "The dog bit the man.\nIt wasn't surprising.\nThe man had just bitten him.\n")
	write(t, dir, "ref1", "The dog bit the man.\nIt was not unexpected.\nThe man bit him first.\n")
	write(t, dir, "ref2", "The dog had bit the man.\r\nNo one was surprised. \nThe man had bitten the dog.")
	write(t, dir, "short", "The dog bit the man.\n")
	write(t, dir, "gaps", "The dog bit the man.\n\n \n")
	write(t, dir, "nothing", "")
	write(t, dir, "latin1", "one\nd\xe9j\xe0 vu\ncaf\xe9\n")
	write(t, dir, "long", strings.Repeat("word ", 1<<18)+"\n")
	write(t, dir, "mr.csv", "mr,ref\nname[A],The dog bit the man.\nname[A],The dog had bit the man.\n\"name[B], near[C]\",It was not unexpected.\nname[D],The man bit him first.\n")
	write(t, dir, "mr.txt", "The dog bit the man.\nThe dog had bit the man.\n\nIt was not unexpected.\n\nThe man bit him first.\n")
	write(t, dir, "columns.csv", "mr,text\nname[A],The dog bit the man.\n")
	write(t, dir, "ragged.csv", "mr,ref\nname[A],The dog bit the man.,twice\n")
	write(t, dir, "none.csv", "mr,ref\nname[A],\n")
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	io.WriteString(w, "The dog bit the man.\nIt was not unexpected.\nThe man bit him first.\n")
	w.Close()
	write(t, dir, "ref1.gz", zipped.String())
	write(t, dir, "cut.gz", zipped.String()[:zipped.Len()-12])
	return dir
}

// TestScore compares what the commands print with testdata/score.golden. BLEU of the
// two references is published: 48.530827 (sacreBLEU, test/test_bleu.py).
func TestScore(t *testing.T) {
	t.Parallel()
	dir := scoreFolder(t)
	var b strings.Builder
	for _, args := range []string{
		"--help", "bleu --help", "chrf --help", "ter --help", "e2e --help",
		"bleu --hypotheses DIR/hyp --references DIR/ref1 DIR/ref2",
		"bleu --hypotheses DIR/hyp --references DIR/ref1.gz --references DIR/ref2 --json",
		"bleu --hypotheses DIR/hyp --references DIR/ref1 --sentences",
		"bleu --hypotheses DIR/hyp --references DIR/ref1 --sentences --json",
		"bleu --hypotheses DIR/hyp --references DIR/ref1 --tokenize intl --lowercase --smooth floor --effective-order",
		"bleu --hypotheses DIR/gaps --references DIR/ref1",
		"bleu --hypotheses DIR/hyp --references DIR/gaps --allow-empty",
		"chrf --hypotheses DIR/hyp --references DIR/ref1",
		"chrf --hypotheses DIR/hyp --references DIR/ref1 --word-order 2 --lowercase --json",
		"chrf --hypotheses DIR/hyp --references DIR/ref1 --char-order 4 --beta 1 --whitespace --eps-smoothing",
		"ter --hypotheses DIR/hyp --references DIR/ref1",
		"e2e --hypotheses DIR/hyp --references DIR/mr.csv",
		"e2e --hypotheses DIR/hyp --references DIR/mr.txt --json",
		"e2e --hypotheses DIR/hyp --references DIR/ref1.gz",
		"ter --hypotheses DIR/hyp --references DIR/ref1 DIR/ref2 --normalized --no-punct --asian-support --case-sensitive --json",
	} {
		r := mustCall(t, append([]string{"score"}, strings.Fields(strings.ReplaceAll(args, "DIR", dir))...)...)
		fmt.Fprintf(&b, "$ bdia score %s\n%s\n", args, r.out)
		if r.err != "" {
			t.Errorf("bdia score %s writes to standard error: %s", args, r.err)
		}
	}
	golden(t, "score", b.String())
}

// TestScoreStandardInput reads hypotheses, or references, from standard input.
func TestScoreStandardInput(t *testing.T) {
	t.Parallel()
	dir := scoreFolder(t)
	hyp, ref1, ref2 := filepath.Join(dir, "hyp"), filepath.Join(dir, "ref1"), filepath.Join(dir, "ref2")
	text := "The dog bit the man.\nIt wasn't surprising.\nThe man had just bitten him."
	a := callWith(t.Context(), text, "score", "bleu", "--hypotheses", "-", "--references", ref1, ref2, "--json")
	var got struct {
		Score     float64
		Signature string
	}
	if err := json.Unmarshal([]byte(a.out), &got); err != nil || a.code != cli.ExitOK || math.Abs(got.Score-48.530827) > 1e-6 ||
		!strings.HasPrefix(got.Signature, "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:") {
		t.Errorf("hypotheses from standard input: %v, %v, %s", got, err, a.err)
	}
	b := callWith(t.Context(), "The dog had bit the man.\nNo one was surprised.\nThe man had bitten the dog.\n",
		"score", "bleu", "--hypotheses", hyp, "--references", ref1, "-", "--json")
	if b.out != a.out {
		t.Errorf("references from standard input: %s, want %s", b.out, a.out)
	}
}

func TestWrongScoreCalls(t *testing.T) {
	t.Parallel()
	dir := scoreFolder(t)
	const files = "--hypotheses DIR/hyp --references DIR/ref1 "
	var b strings.Builder
	for _, c := range []struct {
		code int
		args string
	}{
		{2, "blue"},
		{2, "bleu"},
		{2, "bleu --hypotheses DIR/hyp"},
		{2, "bleu --references DIR/ref1"},
		{2, "bleu DIR/hyp DIR/ref1"},
		{2, "bleu --hypotheses - --references -"},
		{2, "bleu " + files + "--tokenize words"},
		{2, "bleu " + files + "--smooth much"},
		{2, "bleu " + files + "--smooth floor --smooth-value -1"},
		{2, "bleu " + files + "--smooth floor --smooth-value NaN"},
		{2, "bleu " + files + "--smooth-value 2"},
		{2, "chrf " + files + "--char-order 0"},
		{2, "chrf " + files + "--word-order 1000000000"},
		{2, "chrf " + files + "--beta 0"},
		{2, "ter " + files + "--lowercase"},
		{2, "e2e --hypotheses DIR/hyp"},
		{2, "e2e --hypotheses - --references -"},
		{2, "e2e --hypotheses DIR/hyp --references DIR/ref1 DIR/ref2"},
		{1, "bleu --hypotheses DIR/missing --references DIR/ref1"},
		{1, "bleu --hypotheses DIR --references DIR/ref1"},
		{1, "bleu " + files + "DIR/missing"},
		{1, "bleu " + files + "DIR/short"},
		{1, "bleu --hypotheses DIR/short --references DIR/ref1"},
		{1, "bleu --hypotheses DIR/nothing --references DIR/nothing"},
		{1, "bleu --hypotheses DIR/hyp --references DIR/nothing"},
		{1, "bleu --hypotheses DIR/hyp --references DIR/ref1 DIR/gaps"},
		{1, "chrf --hypotheses DIR/latin1 --references DIR/ref1"},
		{1, "chrf --hypotheses DIR/latin1 --references DIR/latin1"},
		{1, "ter --hypotheses DIR/long --references DIR/ref1"},
		{1, "ter --hypotheses DIR/hyp --references DIR/cut.gz"},
		{1, "e2e --hypotheses DIR/hyp --references DIR/missing.csv"},
		{1, "e2e --hypotheses DIR --references DIR/mr.csv"},
		{1, "e2e --hypotheses DIR/short --references DIR/mr.csv"},
		{1, "e2e --hypotheses DIR/latin1 --references DIR/mr.csv"},
		{1, "e2e --hypotheses DIR/long --references DIR/mr.csv"},
		{1, "e2e --hypotheses DIR/hyp --references DIR/columns.csv"},
		{1, "e2e --hypotheses DIR/hyp --references DIR/ragged.csv"},
		{1, "e2e --hypotheses DIR/hyp --references DIR/none.csv"},
		{1, "e2e --hypotheses DIR/hyp --references DIR/cut.gz"},
	} {
		args := append([]string{"score"}, strings.Fields(strings.ReplaceAll(c.args, "DIR", dir))...)
		b.WriteString(failure(t, "score "+c.args, c.code, call(args...), dir, "RUN"))
	}
	golden(t, "score-errors", b.String())
}

func TestScoreOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := scoreFolder(t)
	for _, more := range []string{"bleu --json", "bleu --sentences", "bleu", "e2e", "e2e --json"} {
		var errOut strings.Builder
		args := strings.Fields("score " + more + " --hypotheses " + dir + "/hyp --references " + dir + "/ref1")
		if code := run(t.Context(), args, nil, brokenWriter{}, &errOut); code != cli.ExitFailure || !strings.Contains(errOut.String(), errBroken.Error()) {
			t.Errorf("score %s on a full disk: exit code %d, %q", more, code, errOut.String())
		}
	}
}

func TestScoreInterrupted(t *testing.T) {
	t.Parallel()
	dir := scoreFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, metric := range []string{"ter", "e2e"} {
		if r := callWith(ctx, "", "score", metric, "--hypotheses", dir+"/hyp", "--references", dir+"/ref1"); r.code != cli.ExitInterrupted || r.out != "" {
			t.Errorf("%s interrupted: exit code %d, prints %q", metric, r.code, r.out)
		}
	}
}
