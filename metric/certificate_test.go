package metric

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// certified writes certificates of the steps after one.
func certified(t *testing.T, dir string, after, last int) []Certificate {
	t.Helper()
	start := Start{After: after, Certificates: true}
	if after == 0 {
		start.After = -1
	}
	all, _ := certify(t, dir, start, last)
	return all
}

// certify writes certificates up to a step, and returns the marks there.
func certify(t *testing.T, dir string, start Start, last int) (all []Certificate, marks map[string]Mark) {
	t.Helper()
	r, err := OpenRun(dir, start)
	if err != nil {
		t.Fatal(err)
	}
	for step := max(start.After, 0) + 1; step <= last; step++ {
		c := Certificate{Step: step, Loss: 1 / float64(step), States: []uint64{uint64(step), 1 << 63}, Blocks: []Digest{{"wte", 7}, {"blocks.0", uint64(step) << 40}}}
		if err := r.Certify(&c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	marks = r.Marks()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return all, marks
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

// TestCertificatesGoOn: at a mark they go on after its lines. A file with one changed bit is kept beside a new one, also
// when an earlier one was, and without a mark.
func TestCertificatesGoOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certified(t, dir, 0, 5)
	path := filepath.Join(dir, CertificateName)
	whole := []byte(readFile(t, path))
	_, marks := certify(t, t.TempDir(), Start{After: -1, Certificates: true}, 3)
	start := Start{After: 3, Certificates: true, Marks: marks}
	goOn := func(content []byte, start Start) (notes []string) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := OpenRun(dir, start)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		return r.Notes
	}
	damage := func(line int) []byte {
		lines := bytes.SplitAfter(bytes.Clone(whole), []byte("\n"))
		lines[line-1][12] ^= 1
		return bytes.Join(lines, nil)
	}
	if notes := goOn(damage(4), start); len(notes) > 0 || readFile(t, path) != string(whole[:marks[CertificateName].Size]) {
		t.Errorf("damaged after the mark: %q", notes)
	}
	certify(t, dir, start, 5)
	if readFile(t, path) != string(whole) {
		t.Errorf("went on after a mark:\n%s", readFile(t, path))
	}
	unmarked := start
	unmarked.Marks = nil
	for i, s := range []Start{start, unmarked} {
		bad, kept := damage(2), path+[]string{".damaged", ".damaged.2"}[i]
		if notes := goOn(bad, s); len(notes) != 1 || !strings.Contains(notes[0], filepath.Base(kept)) || readFile(t, path) != "" || readFile(t, kept) != string(bad) {
			t.Errorf("damaged line 2, %d: %q", i, notes)
		}
	}
}
