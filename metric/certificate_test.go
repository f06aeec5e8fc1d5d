package metric

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// certified writes certificates of the steps after from.
func certified(t *testing.T, dir string, after, last int) (all []Certificate) {
	t.Helper()
	start := Start{After: after, Certificates: true}
	if after == 0 {
		start.After = -1
	}
	r, err := OpenRun(dir, start)
	if err != nil {
		t.Fatal(err)
	}
	for step := after + 1; step <= last; step++ {
		c := Certificate{Step: step, Loss: 1 / float64(step), States: []uint64{uint64(step), 1 << 63}, Blocks: []Digest{{"wte", 7}, {"blocks.0", uint64(step) << 40}}}
		if err := r.Certify(&c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCertificates: they are read as they were written, go on after a step in the bytes of one writing, and a changed
// line is found.
func TestCertificates(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	want := certified(t, dir, 0, 5)
	var got []Certificate
	collect := func(c Certificate) bool { got = append(got, c); return true }
	if err := EachCertificate(dir, collect); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	certified(t, other, 0, 4)
	certified(t, other, 2, 5)
	whole, _ := os.ReadFile(filepath.Join(dir, CertificateName))
	again, _ := os.ReadFile(filepath.Join(other, CertificateName))
	if string(whole) != string(again) {
		t.Errorf("written in two parts:\n%s\nin one:\n%s", again, whole)
	}
	for i := range whole {
		bad := append([]byte(nil), whole...)
		if bad[i] ^= 1; bad[i] == '\n' || whole[i] == '\n' {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, CertificateName), bad, 0o666); err != nil {
			t.Fatal(err)
		}
		got = nil
		if err := EachCertificate(dir, collect); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a flip in byte %d of %d, %q: %v", i, len(whole), bad[max(0, i-20):min(len(bad), i+20)], err)
		}
	}
	if err := EachCertificate(t.TempDir(), collect); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
