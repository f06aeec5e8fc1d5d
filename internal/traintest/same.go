package traintest

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

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
	got.Records, want.Records = nil, nil // records have times in them
	if !reflect.DeepEqual(got, want) {
		t.Errorf("state of the resumed run %+v, of the uninterrupted one %+v", got, want)
	}
}

// SameMetrics compares the records but for the speed.
func SameMetrics(t testing.TB, got, want string) {
	t.Helper()
	read := func(dir string) map[string][]metric.Point {
		all, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
		if err != nil {
			t.Fatal(err)
		}
		m := map[string][]metric.Point{}
		for _, s := range all {
			if !strings.HasSuffix(s.Name, "_per_second") {
				m[s.Name] = s.Points
			}
		}
		return m
	}
	if g, w := read(got), read(want); !reflect.DeepEqual(g, w) {
		t.Errorf("metrics of the resumed run\n%v\nof the uninterrupted one\n%v", g, w)
	}
}
