package text

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/traintest"
)

// TestBitsWithoutExtensions: a run ends with the same weights, moments and records on a processor without any extension,
// where the standard library's functions have other bits. The perplexity is one of the records.
func TestBitsWithoutExtensions(t *testing.T) {
	const inside = "run without extensions: "
	r := create(t, tinyConfig())
	traintest.Trained(t, r, traintest.Listener{})
	got := resultOf(t, r.Dir)
	if os.Getenv("GODEBUG") != "" {
		fmt.Println(inside + got)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	c := exec.Command(exe, "-test.run=^TestBitsWithoutExtensions$")
	c.Env = append(os.Environ(), "GODEBUG=cpu.all=off")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), inside+got) {
		t.Errorf("%v; with extensions %s, without\n%s", err, got, out)
	}
}

// times are the parts of records that are of the clock.
var times = regexp.MustCompile(`,?"(time|tokens_per_second)":("[^"]*"|[^,}]*)`)

// resultOf is a hash of what a run in dir has left, and its last record.
func resultOf(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	records := ""
	for _, name := range []string{"metrics.jsonl", "model.safetensors", optimizerFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "metrics.jsonl" {
			b = times.ReplaceAll(b, nil)
			records = string(b)
		}
		h.Write(b)
	}
	if !strings.Contains(records, "val/perplexity") {
		t.Errorf("no perplexity in the records:\n%s", records)
	}
	lines := strings.Split(strings.TrimSpace(records), "\n")
	return fmt.Sprintf("%x %s", h.Sum(nil), strings.Join(lines, " "))
}
