package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestVerifyRecords: verify --files compares records, which go on growing, with how far they had come at the checkpoint,
// and says why files are not listed.
func TestVerifyRecords(t *testing.T) {
	t.Parallel()
	dir := copyRun(t)
	events, err := filepath.Glob(filepath.Join(dir, "tensorboard", "*"))
	if err != nil || len(events) != 1 {
		t.Fatalf("%v, %v", events, err)
	}
	event := "tensorboard/" + filepath.Base(events[0])
	write(t, dir, "certificate.jsonl.damaged", "{}\n")
	write(t, dir, "metrics.jsonl", string(readFile(t, dir, "metrics.jsonl"))+"{\"step\":7}\n")
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(mustCall(t, "verify", dir, "--files").out), "\n") {
		out.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	text := strings.ReplaceAll(out.String(), event, "tensorboard/EVENTS")
	golden(t, "verify_files", regexp.MustCompile(`the \d+ bytes`).ReplaceAllString(text, "the N bytes"))

	for name, tc := range map[string]struct {
		file   string
		damage func(b []byte) []byte
		want   string
	}{
		"a record changed":      {"metrics.jsonl", func(b []byte) []byte { return bytes.Replace(b, []byte("step"), []byte("stop"), 1) }, "its first"},
		"records cut":           {"metrics.jsonl", func(b []byte) []byte { return b[:40] }, "it has 40 bytes, and had"},
		"an event changed":      {event, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, "its first"},
		"an event file is gone": {event, nil, "state/state.json has them"},
	} {
		dir := copyRun(t)
		path := filepath.Join(dir, filepath.FromSlash(tc.file))
		if tc.damage == nil {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, filepath.Dir(path), filepath.Base(path), string(tc.damage(readFile(t, path))))
		}
		state := "damaged"
		if tc.damage == nil {
			state = "missing"
		}
		r := call("verify", dir, "--files")
		found := false
		for _, line := range strings.Split(r.out, "\n") {
			found = found || strings.HasPrefix(line, state) && strings.Contains(line, tc.file) && strings.Contains(line, tc.want)
		}
		if r.code != 1 || !found {
			t.Errorf("%s: exit %d\n%s", name, r.code, r.out)
		}
	}
}
