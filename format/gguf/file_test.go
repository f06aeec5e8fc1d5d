package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/google/go-cmp/cmp"
)

// everyKind has a value of each kind.
var everyKind = []KV{
	{"u8", uint8(1)}, {"i8", int8(-1)}, {"u16", uint16(2)}, {"i16", int16(-2)}, {"u32", uint32(3)}, {"i32", int32(-3)},
	{"f32", float32(0.5)}, {"yes", true}, {"no", false}, {"text", "Ġß\n\x00"}, {"empty", ""}, {"u64", uint64(math.MaxUint64)}, {"i64", int64(math.MinInt64)}, {"f64", 0.1},
	{"u8s", []uint8{1, 2}}, {"i8s", []int8{-1}}, {"u16s", []uint16{3}}, {"i16s", []int16{-3, 4, 5}}, {"u32s", []uint32{5}}, {"i32s", []int32{1, 3, 1}},
	{"f32s", []float32{1, 2}}, {"bools", []bool{true, false, true}}, {"texts", []string{"a", "", "<|endoftext|>"}}, {"u64s", []uint64{7}},
	{"i64s", []int64{-7}}, {"f64s", []float64{0.25}}, {"none", []string{}},
}

var everyType = []Info{
	{Name: "vector", Type: F32, Shape: []int{3}},
	{Name: "half", Type: F16, Shape: []int{2, 3, 1, 1}},
	{Name: "groups", Type: Q8_0, Shape: []int{3, 64}},
	{Name: "blk.0.ß.weight", Type: BF16, Shape: []int{5, 1}},
}

// sample returns a file of everyKind and everyType. Each tensor is written in
// pieces of so many elements.
func sample(t testing.TB, piece int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, everyKind, everyType)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range everyType {
		for from := 0; from < i.Elems(); from += piece {
			if err := w.Write(i.Name, values(i)[from:min(from+piece, i.Elems())]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// values are numbers that every type stores exactly.
func values(i Info) []float32 {
	v := make([]float32, i.Elems())
	for k := range v {
		v[k] = float32(k%128 - 127)
		if k%32 == 0 {
			v[k] = -127
		}
	}
	return v
}

func openBytes(t testing.TB, b []byte) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := sample(t, math.MaxInt32)
	if !bytes.Equal(b, sample(t, 64)) {
		t.Error("the file depends on the pieces")
	}
	f := openBytes(t, b)
	var keys []KV
	for _, k := range f.Keys() {
		v, ok := f.Value(k)
		if !ok {
			t.Errorf("no value of %s", k)
		}
		keys = append(keys, KV{k, v})
	}
	if d := cmp.Diff(everyKind, keys); d != "" {
		t.Error(d)
	}
	if _, ok := f.Value("nothing"); ok {
		t.Error("a key that is not there has a value")
	}
	for i, name := range f.Names() {
		want := everyType[i]
		got, ok := f.Info(name)
		if !ok || got.Name != want.Name || got.Type != want.Type || !slices.Equal(got.Shape, want.Shape) || got.Offset%defaultAlignment != 0 {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		v := make([]float32, got.Elems())
		if err := f.ReadFloat32(name, 0, v); err != nil || !slices.Equal(v, values(want)) {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	part := make([]float32, 40)
	if err := f.ReadFloat32("groups", 96, part); err != nil || !slices.Equal(part, values(everyType[2])[96:136]) {
		t.Errorf("part: %v, %v", part, err)
	}
	for from, n := range map[int]int{16: 4, 192: 1, -32: 4, 160: 33} {
		if err := f.ReadFloat32("groups", from, make([]float32, n)); err == nil || !strings.Contains(err.Error(), "Q8_0[3 64]") {
			t.Errorf("%d elements from %d on: %v", n, from, err)
		}
	}
	if err := f.ReadFloat32("b", 0, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing tensor: %v", err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.ReadFloat32("half", 0, nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestBytes spells a whole file.
func TestBytes(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w, err := NewWriter(&b, []KV{{"k", "v"}, {"n", []int32{-1}}}, []Info{{Name: "w", Type: F16, Shape: []int{2, 1}}, {Name: "x", Type: F32, Shape: []int{1}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Write("w", []float32{1, -2})
	w.Write("x", []float32{1})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := "GGUF\x03\x00\x00\x00" + u64(2) + u64(2) +
		u64(1) + "k" + u32(8) + u64(1) + "v" +
		u64(1) + "n" + u32(9) + u32(5) + u64(1) + "\xff\xff\xff\xff" +
		u64(1) + "w" + u32(2) + u64(1) + u64(2) + u32(1) + u64(0) +
		u64(1) + "x" + u32(1) + u64(1) + u32(0) + u64(32)
	want += strings.Repeat("\x00", (32-len(want)%32)%32)
	want += "\x00\x3c\x00\xc0" + strings.Repeat("\x00", 28) + "\x00\x00\x80\x3f" + strings.Repeat("\x00", 28)
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

func u32(v uint32) string { return string(binary.LittleEndian.AppendUint32(nil, v)) }
func u64(v uint64) string { return string(binary.LittleEndian.AppendUint64(nil, v)) }

// TestHostile: what is wrong with a file is said, and nothing is allocated for
// what it claims to hold.
func TestHostile(t *testing.T) {
	t.Parallel()
	const huge = math.MaxUint64
	head := func(tensors, keys uint64) string { return "GGUF" + u32(3) + u64(tensors) + u64(keys) }
	tensor := func(name string, typ uint32, offset uint64, dims ...uint64) string {
		s := u64(uint64(len(name))) + name + u32(uint32(len(dims)))
		for _, d := range dims {
			s += u64(d)
		}
		return s + u32(typ) + u64(offset)
	}
	file := func(keys uint64, text string, tensors ...string) string {
		s := head(uint64(len(tensors)), keys) + text + strings.Join(tensors, "")
		return s + strings.Repeat("\x00", (32-len(s)%32)%32)
	}
	key := func(k, rest string) string { return u64(uint64(len(k))) + k + rest }
	zeros := strings.Repeat("\x00", 64)
	for name, tc := range map[string]struct{ file, want string }{
		"empty":               {"", "empty"},
		"short":               {"GG", "4 bytes wanted"},
		"text":                {"version https://git-lfs", "not a GGUF file"},
		"version 1":           {"GGUF" + u32(1) + zeros, "version 1; 2 and 3"},
		"version 4":           {"GGUF" + u32(4) + zeros, "version 4; 2 and 3"},
		"big-endian":          {"GGUF\x00\x00\x00\x03" + zeros, "big-endian"},
		"no counts":           {"GGUF" + u32(3), "8 bytes wanted"},
		"tensors":             {head(huge, 0) + zeros, "18446744073709551615 tensors"},
		"keys":                {head(0, 1<<40) + zeros, "1099511627776 keys"},
		"keys beyond":         {head(0, 6) + zeros, "at most 4 are possible"},
		"key length":          {head(0, 1) + u64(huge) + zeros, "a string of 18446744073709551615 bytes"},
		"key empty":           {head(0, 1) + u64(0) + zeros, "is empty or not UTF-8"},
		"key not UTF-8":       {head(0, 1) + key("\xff", u32(4)+zeros), "is empty or not UTF-8"},
		"kind":                {head(0, 1) + key("k", u32(13)+zeros), "kind of value 13"},
		"kind of elements":    {head(0, 1) + key("k", u32(9)+u32(1<<31)+u64(1)+zeros), "kind of value 2147483648"},
		"array of arrays":     {head(0, 1) + key("k", u32(9)+u32(9)+u64(1)+zeros), "array of arrays"},
		"array length":        {head(0, 1) + key("k", u32(9)+u32(10)+u64(9)+zeros), "9 elements of k"},
		"huge array":          {head(0, 1) + key("k", u32(9)+u32(4)+u64(1<<62)+zeros), "elements of k"},
		"strings":             {head(0, 1) + key("k", u32(9)+u32(8)+u64(2)+u64(1<<33)+zeros), "a string of 8589934592 bytes"},
		"bool":                {head(0, 1) + key("k", u32(7)+"\x02"+zeros), "a bool of 2"},
		"key twice":           {file(2, key("k", u32(0)+"a")+key("k", u32(0)+"b")), `key "k" occurs twice`},
		"alignment 3":         {file(1, key("general.alignment", u32(4)+u32(3))), "not a power of two"},
		"alignment type":      {file(1, key("general.alignment", u32(5)+u32(32))), "not a power of two"},
		"alignment huge":      {file(1, key("general.alignment", u32(4)+u32(1<<31))), "not a power of two"},
		"tensor twice":        {file(0, "", tensor("a", 0, 0, 1), tensor("a", 0, 32, 1)) + zeros, `tensor "a" occurs twice`},
		"overlap":             {file(0, "", tensor("a", 0, 0, 9), tensor("b", 0, 32, 1)) + zeros, `"b" begins at byte 32 of the data, not at 64`},
		"gap":                 {file(0, "", tensor("a", 0, 0, 1), tensor("b", 0, 64, 1)) + zeros, "not at 32"},
		"backwards":           {file(0, "", tensor("a", 0, 32, 1), tensor("b", 0, 0, 1)) + zeros, "not at 0"},
		"beyond the end":      {file(0, "", tensor("a", 0, 0, 17)) + zeros, "ends at byte"},
		"offset":              {file(0, "", tensor("a", 0, huge, 1)) + zeros, "offset 18446744073709551615"},
		"rank 0":              {file(0, "", tensor("a", 0, 0)) + zeros, "0 dimensions"},
		"rank 5":              {file(0, "", tensor("a", 0, 0, 1, 1, 1, 1, 1)) + zeros, "5 dimensions"},
		"dimension 0":         {file(0, "", tensor("a", 0, 0, 0)) + zeros, "shape [0]"},
		"dimension":           {file(0, "", tensor("a", 0, 0, 1<<63)) + zeros, "a dimension of 9223372036854775808"},
		"product":             {file(0, "", tensor("a", 0, 0, 1<<28, 1<<28, 1<<28)) + zeros, "too large"},
		"groups":              {file(0, "", tensor("a", 8, 0, 33)) + zeros, "33 elements are not a multiple"},
		"type":                {file(0, "", tensor("a", 2, 0, 32)) + zeros, "type 2; this reads and writes F32"},
		"name":                {file(0, "", tensor(strings.Repeat("a", 64), 0, 0, 1)) + zeros, "a string of 64 bytes"},
		"more after the last": {file(0, "", tensor("a", 0, 0, 1)) + zeros, "after the last tensor"},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(tc.file), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if err == nil || !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// TestReads: what others write differently is read too.
func TestReads(t *testing.T) {
	t.Parallel()
	b := sample(t, 64)
	b[4] = 2
	openBytes(t, b)
	f := openBytes(t, b[:len(b)-1]) // the last padding is not there
	v := make([]float32, 5)
	if err := f.ReadFloat32("blk.0.ß.weight", 0, v); err != nil {
		t.Error(err)
	}
	s := "GGUF" + u32(3) + u64(1) + u64(1) + u64(17) + "general.alignment" + u32(4) + u32(8) + u64(1) + "a" + u32(1) + u64(1) + u32(0) + u64(0)
	s += strings.Repeat("\x00", (8-len(s)%8)%8) + "\x00\x00\x80\x3f"
	if err := openBytes(t, []byte(s)).ReadFloat32("a", 0, v[:1]); err != nil || v[0] != 1 {
		t.Errorf("%v, %v", v[0], err)
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	w := func(keys []KV, infos ...Info) error {
		_, err := NewWriter(io.Discard, keys, infos)
		return err
	}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"name":      {w(nil, Info{Name: strings.Repeat("a", 64), Shape: []int{1}}), "1 to 63 bytes"},
		"twice":     {w(nil, Info{Name: "a", Shape: []int{1}}, Info{Name: "a", Shape: []int{1}}), "declared twice"},
		"rank":      {w(nil, Info{Name: "a"}), "0 dimensions"},
		"groups":    {w(nil, Info{Name: "a", Type: Q8_0, Shape: []int{32, 16}}), "rows of 16"},
		"type":      {w(nil, Info{Name: "a", Type: 12, Shape: []int{32}}), "type 12"},
		"key":       {w([]KV{{"", 1}}), "a key has"},
		"key twice": {w([]KV{{"a", true}, {"a", true}}), "given twice"},
		"alignment": {w([]KV{{"general.alignment", uint32(8)}}), "always 32"},
		"value":     {w([]KV{{"a", 1}}), "type int"},
		"nil":       {w([]KV{{"a", nil}}), "type <nil>"},
	} {
		if tc.err == nil || !strings.HasPrefix(tc.err.Error(), "gguf: ") || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, tc.err, tc.want)
		}
	}
}

func TestWriterOrder(t *testing.T) {
	t.Parallel()
	infos := []Info{{Name: "a", Type: Q8_0, Shape: []int{2, 32}}, {Name: "b", Type: F16, Shape: []int{20000}}}
	for name, tc := range map[string]struct {
		use  func(w *Writer) error
		want string
	}{
		"out of order": {func(w *Writer) error { return w.Write("b", make([]float32, 4)) }, `"a" is next`},
		"half a group": {func(w *Writer) error { return w.Write("a", make([]float32, 16)) }, "not whole groups of 32"},
		"too much":     {func(w *Writer) error { w.Write("a", make([]float32, 32)); return w.Write("a", make([]float32, 64)) }, "more than the elements"},
		"too little":   {func(w *Writer) error { return w.Write("a", make([]float32, 32)) }, `"a": declared but not written whole`},
		"missing":      {func(w *Writer) error { return w.Write("a", make([]float32, 64)) }, `"b": declared but not written whole`},
		"overflow": {func(w *Writer) error {
			w.Write("a", make([]float32, 64))
			v := make([]float32, 19000)
			w.Write("b", v[:1000])
			v[9000] = 1e5
			return w.Write("b", v)
		}, `"b": element 10000, 100000, is not a finite number as F16`},
		"one too many": {func(w *Writer) error {
			w.Write("a", make([]float32, 64))
			w.Write("b", make([]float32, 20000))
			return w.Write("c", nil)
		}, "all declared tensors"},
	} {
		w, err := NewWriter(io.Discard, nil, infos)
		if err != nil {
			t.Fatal(err)
		}
		err = tc.use(w)
		closed := w.Close()
		if err == nil {
			err = closed
		} else if closed != err {
			t.Errorf("%s: Close forgot %v and returned %v", name, err, closed)
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// The error of the underlying writer comes through, however late.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	for _, room := range []testkit.Full{0, 1 << 16, 1<<18 + 10} {
		w, err := NewWriter(&room, nil, []Info{{Name: "a", Type: F32, Shape: []int{1 << 16}}})
		if err != nil {
			t.Fatal(err)
		}
		if err = w.Write("a", make([]float32, 1<<16)); err == nil {
			err = w.Close()
		}
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("got %v, want io.ErrShortWrite", err)
		}
	}
}

// FuzzParse: no file makes the reader panic, and every tensor of one that it
// takes can be read.
func FuzzParse(f *testing.F) {
	f.Add(sample(f, 64))
	f.Add([]byte("GGUF" + u32(3) + u64(0) + u64(0)))
	for _, kv := range []KV{{strings.Repeat("k", 1000), "v"}, {"k", []string{strings.Repeat("v", 1000)}}} {
		b, err := appendHeader(nil, []KV{kv}, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(b, b...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parse(b)
		testkit.Refused(t, err)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("%v wraps neither error of this package", err)
			}
			return
		}
		for _, i := range h.tensors {
			start := h.dataStart + i.Offset
			decode(make([]float32, i.Elems()), i.Type, b[start:start+i.Size])
		}
	})
}
