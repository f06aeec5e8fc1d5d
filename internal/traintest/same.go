package traintest

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/train"
)

// Files of a run directory.
const (
	OptimizerFile = "state/optimizer.safetensors"
	Best          = "best"
)

// SameFiles fails unless the checkpoints of both runs hold the same bytes.
func SameFiles(t testing.TB, got, want string) {
	t.Helper()
	for _, name := range []string{train.WeightsFile, train.ConfigFile, OptimizerFile, Best + "/" + train.WeightsFile, Best + "/" + train.ConfigFile} {
		SameFile(t, name, got, want)
	}
}

// SameFile fails unless both runs have the same bytes in a file.
func SameFile(t testing.TB, name, got, want string) {
	t.Helper()
	g, err := os.ReadFile(filepath.Join(got, name))
	w, werr := os.ReadFile(filepath.Join(want, name))
	if err != nil || werr != nil {
		t.Errorf("%s: %v, %v", name, err, werr)
	} else if !bytes.Equal(g, w) {
		t.Errorf("%s differs from that of the uninterrupted run", name)
	}
}

// SameState compares what is counted, not the time it took.
func SameState(t testing.TB, got, want checkpoint.State) {
	t.Helper()
	got.Elapsed, want.Elapsed = 0, 0
	got.Version, want.Version = 0, 0     // of the program that wrote it
	got.Records, want.Records = nil, nil // records have times in them
	if !reflect.DeepEqual(got, want) {
		t.Errorf("state of the resumed run %+v, of the uninterrupted one %+v", got, want)
	}
}

// SameMetrics compares the records and the event files, line by line, but for times and speeds.
func SameMetrics(t testing.TB, got, want string) {
	t.Helper()
	if d := cmp.Diff(recordLines(t, want), recordLines(t, got)); d != "" {
		t.Errorf("records of the resumed run differ from the uninterrupted one's: %s", d)
	}
	if d := cmp.Diff(eventLines(t, want), eventLines(t, got)); d != "" {
		t.Errorf("event files of the resumed run differ from the uninterrupted one's: %s", d)
	}
}

// timed matches what differs between runs: times and speeds.
var timed = regexp.MustCompile(`"(time|[a-z]+_per_second)":("[^"]*"|[^,}]*)`)

// recordLines are the lines of metrics.jsonl, without times and speeds.
func recordLines(t testing.TB, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, metric.JSONLName))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(timed.ReplaceAllString(string(text), `"$1":`), "\n")
}

// eventLines are the events of every event file, without times and speeds.
func eventLines(t testing.TB, dir string) (files [][]metric.Event) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "tensorboard", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		events, err := metric.ReadEvents(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			events[i].WallTime = 0
			events[i].Fields = slices.DeleteFunc(events[i].Fields, func(f metric.Field) bool { return strings.HasSuffix(f.Name, "_per_second") })
		}
		files = append(files, events)
	}
	return files
}
