package safetensors

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

func save(t *testing.T, infos []Info, meta map[string]string, data map[string][]byte) string {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, infos, meta)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if err := w.Write(i.Name, data[i.Name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "t.safetensors")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFile(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	infos := []Info{
		{Name: "wide", DType: F64, Shape: []int{1, 2}},
		{Name: "scalar", DType: F32, Shape: nil},
		{Name: "nothing", DType: I32, Shape: []int{0, 7}},
		{Name: `"quoted" <ß> \`, DType: BF16, Shape: []int{3}},
		{Name: "odd", DType: U8, Shape: []int{5}},
	}
	meta := map[string]string{"format": "pt", "b": "", "a": "line\nline"}
	data := map[string][]byte{}
	for n, i := range infos {
		size, err := i.byteSize()
		if err != nil {
			t.Fatal(err)
		}
		data[i.Name] = bytes.Repeat([]byte{byte(n + 1)}, int(size))
	}
	f := openFile(t, save(t, infos, meta, data))
	if f.header.DataStart%8 != 0 {
		t.Errorf("data begins at byte %d, not a multiple of 8", f.header.DataStart)
	}
	if d := cmp.Diff(meta, f.Metadata()); d != "" {
		t.Error(d)
	}
	var names []string
	for _, want := range infos {
		names = append(names, want.Name)
		got, ok := f.Info(want.Name)
		if !ok || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("%s: got %+v, %v", want.Name, got, ok)
		}
		b, err := f.Bytes(want.Name)
		if err != nil || !bytes.Equal(b, data[want.Name]) || cap(b) != len(b) {
			t.Errorf("%s: got %v (cap %d), %v", want.Name, b, cap(b), err)
		}
	}
	if d := cmp.Diff(names, f.Names()); d != "" {
		t.Error(d)
	}
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	path := save(t, []Info{{Name: "a", DType: I64, Shape: []int{2}}}, nil, map[string][]byte{"a": make([]byte, 16)})
	f := openFile(t, path)
	if f.Metadata() != nil {
		t.Errorf("metadata %v from a file without", f.Metadata())
	}
	if _, ok := f.Info("b"); ok {
		t.Error("Info of a tensor that is not there")
	}
	if _, err := f.Bytes("b"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Bytes of a missing tensor: %v", err)
	}
	if err := f.ReadFloat32("a", make([]float32, 2)); err == nil || !strings.Contains(err.Error(), "I64") {
		t.Errorf("I64 read as float32: %v", err)
	}
	if err := f.ReadFloat32("a", make([]float32, 3)); err == nil || !strings.Contains(err.Error(), "has 2 elements, want 3") {
		t.Errorf("wrong length: %v", err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Bytes("a"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Bytes after Close: %v", err)
	}

	if _, err := Open(filepath.Dir(path)); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := Open(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.Truncate(path, 79); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("truncated file: %v", err)
	}
}

func TestReadFloat32Types(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	u16 := func(v ...uint16) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint16(b, x)
		}
		return b
	}
	u64 := func(v ...float64) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
		return b
	}
	for name, tc := range map[string]struct {
		dtype DType
		data  []byte
		want  []float32
	}{
		"half": {F16, u16(0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x83ff, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0x3555),
			[]float32{1, -2, 65504, 0x1p-14, 0x1p-24, -0x3ffp-24, float32(math.Copysign(0, -1)), inf, -inf, nan, 0x1.554p-2}},
		"bfloat": {BF16, u16(0x3f80, 0xc049, 0x0001, 0x8000, 0x7f80, 0x7fc0),
			[]float32{1, -3.140625, 0x1p-133, float32(math.Copysign(0, -1)), inf, nan}},
		"double": {F64, u64(1, 0.1, 1+0x1p-24, -math.MaxFloat32, 1e-300, math.Inf(-1), math.NaN()),
			[]float32{1, 0.1, 1, -math.MaxFloat32, 0, -inf, nan}},
	} {
		f := openFile(t, save(t, []Info{{Name: "x", DType: tc.dtype, Shape: []int{len(tc.want)}}}, nil, map[string][]byte{"x": tc.data}))
		got := make([]float32, len(tc.want))
		if err := f.ReadFloat32("x", got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i, want := range tc.want {
			same := math.Float32bits(got[i]) == math.Float32bits(want)
			if want != want {
				same = got[i] != got[i]
			}
			if !same {
				t.Errorf("%s: element %d is %v, want %v", name, i, got[i], want)
			}
		}
	}
	f := openFile(t, save(t, []Info{{Name: "x", DType: F64, Shape: []int{1}}}, nil, map[string][]byte{"x": u64(1e39)}))
	if err := f.ReadFloat32("x", make([]float32, 1)); err == nil || !strings.Contains(err.Error(), "beyond float32") {
		t.Errorf("1e39 read as float32: %v", err)
	}
}

func TestWriteFloat32(t *testing.T) {
	t.Parallel()
	vals := make([]float32, 20000) // more than one chunk
	for i := range vals {
		vals[i] = math.Float32frombits(uint32(i) * 2654435761 &^ (1 << 30)) // no NaN
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, []Info{{Name: "v", DType: F32, Shape: []int{100, 200}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFloat32("v", vals); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "v")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(vals))
	if err := openFile(t, path).ReadFloat32("v", got); err != nil {
		t.Fatal(err)
	}
	for i := range vals {
		if math.Float32bits(got[i]) != math.Float32bits(vals[i]) {
			t.Fatalf("element %d: %x, want %x", i, got[i], vals[i])
		}
	}
}

func TestHeaderBytes(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w, err := NewWriter(&b, []Info{{Name: "z", DType: F32, Shape: []int{1}}, {Name: "a", DType: U8}}, map[string]string{"k": "v", "c": "d"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write("z", []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	if err := w.Write("a", []byte{5}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := `{"__metadata__":{"c":"d","k":"v"},` +
		`"z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},` +
		`"a":{"dtype":"U8","shape":[],"data_offsets":[4,5]}}`
	want += strings.Repeat(" ", (8-len(want)%8)%8)
	want = string([]byte{byte(len(want)), 0, 0, 0, 0, 0, 0, 0}) + want + "\x01\x02\x03\x04\x05"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

func TestNewWriterRefuses(t *testing.T) {
	t.Parallel()
	for name, infos := range map[string][]Info{
		"metadata's name":    {{Name: "__metadata__", DType: U8}},
		"not UTF-8":          {{Name: "\xff", DType: U8}},
		"declared twice":     {{Name: "a", DType: U8}, {Name: "a", DType: U8}},
		"no dtype":           {{Name: "a"}},
		"unknown dtype":      {{Name: "a", DType: 200}},
		"negative dimension": {{Name: "a", DType: U8, Shape: []int{-1}}},
		"overflow":           {{Name: "a", DType: F64, Shape: []int{math.MaxInt / 4}}},
		"total overflow":     {{Name: "a", DType: U8, Shape: []int{math.MaxInt}}, {Name: "b", DType: U8}},
		"unaligned":          {{Name: "a", DType: U8}, {Name: "b", DType: F32}},
		"many dimensions":    {{Name: "a", DType: U8, Shape: make([]int, 33)}},
	} {
		if _, err := NewWriter(io.Discard, infos, nil); err == nil || !strings.HasPrefix(err.Error(), "safetensors: tensor ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewWriter(io.Discard, nil, map[string]string{"k": "\xff"}); err == nil {
		t.Error("metadata that is not UTF-8 was written")
	}
}

// Parts make the same file as the whole, and are read back as such; numbers are
// rounded to the declared type, and refused where that cannot hold them.
func TestParts(t *testing.T) {
	t.Parallel()
	infos := []Info{{Name: "f", DType: F32, Shape: []int{3, 5000}}, {Name: "h", DType: F16, Shape: []int{3}}, {Name: "b", DType: BF16, Shape: []int{3}}, {Name: "u", DType: U8, Shape: []int{9000}}}
	floats, bytesOf := make([]float32, 15000), bytes.Repeat([]byte{1, 2, 3}, 3000)
	for i := range floats {
		floats[i] = float32(i)
	}
	small := []float32{1, -0x1.5556p-2, 65504}
	var whole, parts bytes.Buffer
	for out, step := range map[*bytes.Buffer]int{&whole: 1 << 20, &parts: 1001} {
		w, err := NewWriter(out, infos, nil)
		if err != nil {
			t.Fatal(err)
		}
		each := func(n int, write func(from, to int) error) {
			for from := 0; from < n; from += step {
				if err := write(from, min(from+step, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		each(len(floats), func(from, to int) error { return w.AppendFloat32("f", floats[from:to]) })
		each(3, func(from, to int) error { return w.AppendFloat32("h", small[from:to]) })
		each(3, func(from, to int) error { return w.AppendFloat32("b", small[from:to]) })
		each(len(bytesOf), func(from, to int) error { return w.Append("u", bytesOf[from:to]) })
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(whole.Bytes(), parts.Bytes()) {
		t.Fatal("written in parts, another file came out")
	}
	path := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(path, parts.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, path)
	for range 2 { // what was forgotten is read again
		got := make([]float32, 700)
		for from := 0; from < len(floats)-len(got); from += len(got) {
			if err := f.ReadFloat32At("f", got, from); err != nil || !slices.Equal(got, floats[from:from+len(got)]) {
				t.Fatalf("from %d: %v, %v", from, got[:3], err)
			}
			f.Forget("f", from, from+len(got))
		}
	}
	for name, want := range map[string][]float32{"h": {1, -0x1.554p-2, 65504}, "b": {1, -0x1.56p-2, 65536}} {
		got := make([]float32, 3)
		if err := f.ReadFloat32(name, got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	for _, bad := range [][2]int{{-1, 1}, {15000, 1}, {14999, 2}, {15001, 0}} {
		if err := f.ReadFloat32At("f", make([]float32, bad[1]), bad[0]); err == nil {
			t.Errorf("%d elements from %d on were read", bad[1], bad[0])
		}
	}
	f.Forget("none", 0, 1)
	f.Forget("f", 5, 1<<30)
	w, err := NewWriter(io.Discard, infos[1:2], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFloat32("h", []float32{1, 65520, 1}); err == nil || !strings.Contains(err.Error(), "65520 is beyond the range of F16") {
		t.Errorf("65520 as F16: %v", err)
	}
}

func TestWriterOrder(t *testing.T) {
	t.Parallel()
	infos := []Info{{Name: "a", DType: F32, Shape: []int{1}}, {Name: "b", DType: U8, Shape: []int{4}}}
	for name, tc := range map[string]struct {
		use  func(w *Writer) error
		want string
	}{
		"out of order": {func(w *Writer) error { return w.Write("b", make([]byte, 4)) }, `"a" is next`},
		"short":        {func(w *Writer) error { return w.Write("a", make([]byte, 3)) }, "needs 4"},
		"long":         {func(w *Writer) error { return w.WriteFloat32("a", make([]float32, 2)) }, "needs 4"},
		"missing":      {func(w *Writer) error { w.Write("a", make([]byte, 4)); return nil }, `"b": declared but not written`},
		"twice":        {func(w *Writer) error { w.Write("a", make([]byte, 4)); return w.Write("a", make([]byte, 4)) }, `"b" is next`},
		"floats as U8": {func(w *Writer) error { w.Write("a", make([]byte, 4)); return w.WriteFloat32("b", make([]float32, 1)) }, "declared U8"},
		"too many parts": {func(w *Writer) error {
			w.Append("a", make([]byte, 3))
			return w.Append("a", make([]byte, 2))
		}, "got 5 bytes"},
		"part missing": {func(w *Writer) error { w.Append("a", make([]byte, 3)); return nil }, `"a": declared but not written`},
		"one too many": {func(w *Writer) error {
			w.Write("a", make([]byte, 4))
			w.Write("b", make([]byte, 4))
			return w.Write("c", nil)
		}, "all declared tensors"},
	} {
		w, err := NewWriter(io.Discard, infos, nil)
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
	for _, room := range []testkit.Full{0, 1 << 16, 1 << 18} {
		w, err := NewWriter(&room, []Info{{Name: "a", DType: F32, Shape: []int{1 << 16}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = w.WriteFloat32("a", make([]float32, 1<<16))
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("got %v, want io.ErrShortWrite", err)
		}
	}
}

func TestDTypeNames(t *testing.T) {
	t.Parallel()
	for d := Bool; d <= U64; d++ {
		if got, ok := ParseDType(d.String()); !ok || got != d || d.Size() == 0 {
			t.Errorf("%d: name %q, back as %v, size %d", d, d, got, d.Size())
		}
	}
	if _, ok := ParseDType(""); ok {
		t.Error("the empty name is a type")
	}
	if s := (U64 + 1).String(); s != "DType(18)" {
		t.Errorf("unknown type is %q", s)
	}
}

// Files of another writer: values stand where their description says.
func TestGoldenFiles(t *testing.T) {
	t.Parallel()
	for name, tensors := range map[string]int{
		"gpt_tiny_bdia_tied_tanh.safetensors": 136,
		"vit_tiny_bdia.safetensors":           115,
		"encdec_tiny_bdia.safetensors":        183,
	} {
		f := openFile(t, testkit.SharedPath(t, "golden", name))
		if n := len(f.Names()); n != tensors {
			t.Errorf("%s: %d tensors, want %d", name, n, tensors)
		}
		if f.Metadata()["l"] != "9" {
			t.Errorf("%s: metadata %v", name, f.Metadata())
		}
		for _, tensor := range f.Names() {
			i, _ := f.Info(tensor)
			b, err := f.Bytes(tensor)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(tensor, "s.") {
				for _, v := range b {
					if v > 1 {
						t.Fatalf("%s: %s holds %d, not a bit", name, tensor, v)
					}
				}
			}
			if i.DType != F32 {
				continue
			}
			v := make([]float32, i.Elems())
			if err := f.ReadFloat32(tensor, v); err != nil {
				t.Fatal(err)
			}
			for k, x := range v {
				onGrid := float32(math.RoundToEven(float64(x)*512)) == x*512
				if x != x || strings.HasPrefix(tensor, "x.") && !onGrid {
					t.Fatalf("%s: %s[%d] is %v", name, tensor, k, x)
				}
			}
		}
	}
}
