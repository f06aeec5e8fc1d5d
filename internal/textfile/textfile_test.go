package textfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/bdia-go/bdia/internal/testkit"
)

func pack(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(text)
	z.Close()
	return b.Bytes()
}

// all reads the lines that are left.
func all(r *Reader) (lines []string, err error) {
	for {
		line, err := r.Line()
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		lines = append(lines, string(line))
	}
}

// FuzzReader: bytes and lines are the text, however it arrives and whether or not
// it is packed.
func FuzzReader(f *testing.F) {
	for _, text := range []string{"", "\n", "a", "a\nb", "a\r\n\n\nb\n", "\ufeffa\n", "\xef", "\xef\xbbx\n", "\x1f", "\x1f\n", "\x1f\x8b\x08", strings.Repeat("x\n", 3000), strings.Repeat("x", 100) + "\r\ny"} {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, keep bool) {
		if is, err := New(bytes.NewReader(text), Options{Buffer: 16}).UTF16(); is || err == ErrUTF32 {
			return
		}
		want := string(text)
		if !keep {
			want = strings.TrimPrefix(want, "\ufeff")
		}
		for _, packed := range []bool{false, true} {
			file := text
			if packed {
				file = pack(text)
			} else if bytes.HasPrefix(text, []byte(gzipMagic)) {
				continue // what it unpacks to is gzip's business
			}
			for name, arrives := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r },
				"byte by byte": iotest.OneByteReader, "end with data": iotest.DataErrReader} {
				o := Options{KeepMark: keep, Buffer: 16}
				r := New(arrives(bytes.NewReader(file)), o)
				if is, err := r.Packed(); is != packed || err != nil {
					t.Fatalf("%s: packed %v, error %v", name, is, err)
				}
				lines, err := all(r)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got := strings.Join(lines, ""); got != want || len(lines) != r.Lines() {
					t.Errorf("%s: %q in %d lines, want %q", name, got, r.Lines(), want)
				}
				for i, line := range lines {
					if n := strings.Count(line, "\n"); line == "" || n > 1 || n == 0 && i != len(lines)-1 || n == 1 && !strings.HasSuffix(line, "\n") {
						t.Errorf("%s: line %d is %q", name, i+1, line)
					}
				}
				got, err := io.ReadAll(New(arrives(bytes.NewReader(file)), o))
				if string(got) != want || err != nil {
					t.Errorf("%s: %q, error %v, want %q", name, got, err, want)
				}
			}
		}
	})
}

// FuzzDamaged: whatever claims to be packed is read or refused, with one error.
func FuzzDamaged(f *testing.F) {
	good := pack([]byte("one\ntwo\n"))
	f.Add(good[2:])
	f.Add(good[2 : len(good)-9])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append([]byte(gzipMagic), b...)
		r := New(bytes.NewReader(b), Options{Buffer: 16})
		for range 100 {
			if _, err := r.Line(); err != nil {
				testkit.Refused(t, err)
				if err != io.EOF && err != ErrTooLong && !errors.Is(err, ErrDamaged) {
					t.Errorf("error %v", err)
				}
				return
			}
		}
	})
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	good := pack([]byte(strings.Repeat("one\n", 100)))
	for name, b := range map[string][]byte{"magic only": good[:2], "half a header": good[:5], "no end": good[:len(good)-9],
		"a changed sum": append(slices.Clone(good[:len(good)-8]), 1, 2, 3, 4, 5, 6, 7, 8), "a bad header": append(slices.Clone(good[:2]), "not gzip at all"...)} {
		for range 2 {
			if _, err := io.Copy(io.Discard, New(bytes.NewReader(b), Options{})); !errors.Is(err, ErrDamaged) ||
				!strings.HasPrefix(err.Error(), "its compressed data are damaged (") || !strings.HasSuffix(err.Error(), "); make or download it again") {
				t.Errorf("%s: error %v", name, err)
			}
			lines, err := all(New(bytes.NewReader(b), Options{}))
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %d lines, error %v", name, len(lines), err)
			}
		}
	}
	r := New(bytes.NewReader(good[:5]), Options{})
	_, first := r.Packed()
	if _, err := r.Line(); err == nil || err != first || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("first %v, then %v", first, err)
	}
}

// TestErrorOfTheSource: what goes wrong below is not taken for damage, be it in the
// first bytes or later, and is not lost.
func TestErrorOfTheSource(t *testing.T) {
	t.Parallel()
	text := []byte("\ufeffone\ntwo\n")
	stop := errors.New("stop")
	for _, file := range [][]byte{text, pack(text)} {
		for n := range len(file) {
			once := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(stop))
			if _, err := all(New(once, Options{})); err != stop {
				t.Errorf("after %d bytes: error %v", n, err)
			}
		}
	}
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", MaxLine)
	for _, buffer := range []int{16, 0, MaxLine, 2 * MaxLine} {
		for _, end := range []string{"\n", "\r\n", ""} {
			r := New(strings.NewReader("a\n"+longest+end), Options{Buffer: buffer})
			if lines, err := all(r); err != nil || !slices.Equal(lines, []string{"a\n", longest + end}) {
				t.Errorf("buffer %d, end %q: %d lines, error %v", buffer, end, len(lines), err)
			}
			r = New(strings.NewReader("a\n"+longest+"x"+end), Options{Buffer: buffer})
			if lines, err := all(r); err != ErrTooLong || len(lines) != 1 || r.Lines() != 1 {
				t.Errorf("buffer %d, end %q: %d lines, error %v", buffer, end, len(lines), err)
			}
			if end == "" {
				end = "\n"
			}
			for _, more := range []int{1, 100, MaxLine} {
				r = New(strings.NewReader("a\n"+longest+strings.Repeat("x", more)+end+"b\n"+longest+"xx"+end+"c"), Options{Buffer: buffer})
				var got []string
				for err := error(nil); err != io.EOF; {
					var line []byte
					if line, err = r.Line(); err == ErrTooLong {
						line = fmt.Append(nil, "line ", r.Lines()+1)
					}
					got = append(got, string(line))
				}
				if want := []string{"a\n", "line 2", "b\n", "line 4", "c", ""}; !slices.Equal(got, want) || r.Lines() != 5 {
					t.Errorf("buffer %d, end %q: %q, %d lines", buffer, end, got, r.Lines())
				}
			}
		}
	}
	endless := &io.LimitedReader{R: zeros{}, N: 100 * MaxLine}
	if _, err := New(endless, Options{}).Line(); err != ErrTooLong || 100*MaxLine-endless.N > MaxLine+64<<10 {
		t.Errorf("%d bytes read, error %v", 100*MaxLine-endless.N, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, most := range []int64{4, 5, 1 << 40} {
		if b, err := ReadFile(path, most); err != nil || string(b) != "text" {
			t.Errorf("at most %d bytes: %q, error %v", most, b, err)
		}
	}
	for most, says := range map[int64]string{3: "a is larger than 3 bytes", 0: "a is larger than 0 MiB"} {
		var large *TooLargeError
		if b, err := ReadFile(path, most); !errors.As(err, &large) || b != nil || large.Path != path || large.Most != most || !strings.HasSuffix(err.Error(), says) {
			t.Errorf("at most %d bytes: %q, error %v", most, b, err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "absent")} {
		if _, err := ReadFile(path, 10); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{"": "", "\n": "", "\r\n": "", "\r": "", "a": "a", "a\n": "a", "a\r\n": "a", "a\r": "a", "a\r\r\n": "a\r", " a \n": " a ", "\na": "\na"} {
		if got := Trim([]byte(line)); string(got) != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestAsTheyCome: a line that is there is given without waiting for more, and More
// tells of others.
func TestAsTheyCome(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	r := New(in, Options{AsItComes: true})
	for _, c := range []struct {
		text string
		more []bool
	}{{"a\n", []bool{false}}, {"\n", []bool{false}}, {"b\nc\n\nd", []bool{true, true, false}}, {"\n", []bool{false}}} {
		go io.WriteString(out, c.text)
		for i, more := range c.more {
			if _, err := r.Line(); err != nil || r.More() != more {
				t.Errorf("line %d of %q: error %v, more %v", i, c.text, err, r.More())
			}
		}
	}
	go func() {
		io.WriteString(out, "begin")
		io.WriteString(out, "ning")
		out.Close()
	}()
	if line, err := r.Line(); err != nil || string(line) != "beginning" {
		t.Errorf("%q, %v of a line that comes in parts", line, err)
	}
	if _, err := r.Line(); err != io.EOF {
		t.Errorf("error %v at the end", err)
	}
}
