package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// raw puts a length before header and n zero bytes after it.
func raw(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header string
		data   int
		want   string // name dtype shape offset+size, in order
	}{
		"nothing":         {`{}`, 0, ``},
		"padded":          {`{}      `, 0, ``},
		"scalar":          {`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4, `a F32 [] 0+4`},
		"empty":           {`{"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}}`, 0, `a F32 [0 3] 0+0`},
		"metadata":        {`{"__metadata__":{"format":"pt"}}`, 0, ``},
		"header order":    {`{"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},"a":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}`, 6, `a I16 [2] 0+4, b U8 [2] 4+2`},
		"empty between":   {`{"c":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2, `a U8 [1] 0+1, b U8 [0] 1+0, c U8 [1] 1+1`},
		"other key order": {`{"a":{"data_offsets":[0,8],"shape":[1],"dtype":"I64"}}`, 8, `a I64 [1] 0+8`},
	} {
		b := raw(tc.header, tc.data)
		h, err := Parse(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, i := range h.Tensors {
			got = append(got, fmt.Sprintf("%s %v %v %d+%d", i.Name, i.DType, i.Shape, i.Offset, i.Size))
		}
		if s := strings.Join(got, ", "); s != tc.want {
			t.Errorf("%s: got %q, want %q", name, s, tc.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	one := func(s string) string { return `{"a":{` + s + `}}` }
	for name, tc := range map[string]struct {
		file []byte
		want string // part of the message
	}{
		"empty file":         {nil, "it is empty"},
		"seven bytes":        {make([]byte, 7), "too short"},
		"LFS pointer":        {[]byte("version https://git-lfs.github.com/spec/v1\n"), "LFS"},
		"error of a hub":     {[]byte(`{"error":"Repository not found"}`), `it is a text, which begins with "{\"error`},
		"huge header":        {bytes.Repeat([]byte{0xff}, 64), "over the limit"},
		"header past end":    {raw(`{}`, 0)[:9], "fetch the file again"},
		"no object":          {raw(`[]`, 0), "begin with '{'"},
		"leading space":      {raw(` {}`, 0), "begin with '{'"},
		"empty header":       {raw(``, 0), "begin with '{'"},
		"not UTF-8":          {raw("{\"\xff\":1}", 0), "UTF-8"},
		"unfinished":         {raw(`{"a":`, 0), "a"},
		"two values":         {raw(`{}{}`, 0), "after the header"},
		"trailing comma":     {raw(`{"__metadata__":{},}`, 0), "header"},
		"tensor is a number": {raw(`{"a":1}`, 0), "want {"},
		"metadata number":    {raw(`{"__metadata__":{"k":1}}`, 0), "want a string"},
		"metadata null":      {raw(`{"__metadata__":null}`, 0), "want {"},
		"metadata twice":     {raw(`{"__metadata__":{},"__metadata__":{}}`, 0), "duplicate"},
		"duplicate tensor": {raw(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0),
			`duplicate key "a"`},
		"duplicate key":      {raw(one(`"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]`), 0), "duplicate"},
		"other letter case":  {raw(one(`"DType":"U8","shape":[0],"data_offsets":[0,0]`), 0), "unknown key"},
		"extra key":          {raw(one(`"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1`), 0), "unknown key"},
		"no dtype":           {raw(one(`"shape":[0],"data_offsets":[0,0]`), 0), "needs dtype"},
		"no shape":           {raw(one(`"dtype":"U8","data_offsets":[0,1]`), 1), "needs dtype"},
		"no offsets":         {raw(one(`"dtype":"U8","shape":[0]`), 0), "needs dtype"},
		"unknown dtype":      {raw(one(`"dtype":"F4","shape":[0],"data_offsets":[0,0]`), 0), "unknown dtype"},
		"empty dtype":        {raw(one(`"dtype":"","shape":[0],"data_offsets":[0,0]`), 0), "unknown dtype"},
		"one offset":         {raw(one(`"dtype":"U8","shape":[0],"data_offsets":[0]`), 0), "two data_offsets"},
		"three offsets":      {raw(one(`"dtype":"U8","shape":[0],"data_offsets":[0,0,0]`), 0), "more than 2"},
		"negative dimension": {raw(one(`"dtype":"U8","shape":[-1],"data_offsets":[0,0]`), 0), "not a size"},
		"minus zero":         {raw(one(`"dtype":"U8","shape":[-0],"data_offsets":[0,0]`), 0), "not a size"},
		"fraction":           {raw(one(`"dtype":"U8","shape":[1.0],"data_offsets":[0,1]`), 1), "not a size"},
		"exponent":           {raw(one(`"dtype":"U8","shape":[1e0],"data_offsets":[0,1]`), 1), "not a size"},
		"past int64":         {raw(one(`"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0]`), 0), "not a size"},
		"product overflow":   {raw(one(`"dtype":"U8","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,0]`), 0), "too large"},
		"size overflow":      {raw(one(`"dtype":"F64","shape":[`+strconv.Itoa(math.MaxInt)+`],"data_offsets":[0,0]`), 0), "too large"},
		"nested shape":       {raw(one(`"dtype":"U8","shape":[[1]],"data_offsets":[0,1]`), 1), "want a number"},
		"deep nesting":       {raw(`{"a":`+strings.Repeat("[", 100000), 0), "want {"},
		"many dimensions":    {raw(one(`"dtype":"U8","shape":[1`+strings.Repeat(",1", 40)+`],"data_offsets":[0,1]`), 1), "more than 32"},
		"long name":          {raw(`{"`+strings.Repeat("n", 5000)+`":{}}`, 0), "5000 bytes"},
		"size mismatch":      {raw(one(`"dtype":"F32","shape":[2],"data_offsets":[0,4]`), 4), "needs 8"},
		"offsets backwards":  {raw(one(`"dtype":"U8","shape":[1],"data_offsets":[1,0]`), 1), "hold -1"},
		"gap":                {raw(one(`"dtype":"U8","shape":[1],"data_offsets":[1,2]`), 2), `gap of 1 bytes before tensor "a"`},
		"overlap": {raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3),
			`"b" overlaps`},
		"data cut short": {raw(one(`"dtype":"U8","shape":[9],"data_offsets":[0,9]`), 8), "ends at byte 9 of 8"},
		"data left over": {raw(one(`"dtype":"U8","shape":[9],"data_offsets":[0,9]`), 10), "1 bytes after"},
	} {
		_, err := Parse(bytes.NewReader(tc.file), int64(len(tc.file)))
		switch {
		case !errors.Is(err, ErrCorrupt):
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		case !strings.Contains(err.Error(), tc.want):
			t.Errorf("%s: %v, want %q in it", name, err, tc.want)
		case len(err.Error()) > 600:
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// A reader that ends before the size it was said to have.
func TestParseShortReader(t *testing.T) {
	t.Parallel()
	_, err := Parse(bytes.NewReader(raw(`{}  `, 0)[:10]), 12)
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Not parallel: it counts all allocations of the process, garbage included.
func TestParseAllocatesLittle(t *testing.T) {
	many := `{"a":{"dtype":"U8","shape":[` + strings.Repeat("1,", 500000) + `1],"data_offsets":[0,1]}}`
	var tensors strings.Builder
	tensors.WriteByte('{')
	for i := range 20000 {
		if i > 0 {
			tensors.WriteByte(',')
		}
		fmt.Fprintf(&tensors, `"%d":{"dtype":"U8","shape":[],"data_offsets":[%d,%d]}`, i, i, i+1)
	}
	tensors.WriteByte('}')
	for name, file := range map[string][]byte{
		"length of 2^64-1":     bytes.Repeat([]byte{0xff}, 100),
		"length of 99 MB":      append([]byte{0xc0, 0x9e, 0xe6, 5, 0, 0, 0, 0}, make([]byte, 100)...),
		"shape of 500,000":     raw(many, 1),
		"string of 1 MB":       raw(`{"`+strings.Repeat("n", 1<<20), 0),
		"tensors, 20,000":      raw(tensors.String(), 20000),
		"nesting of a million": raw(`{"a":`+strings.Repeat("[", 1<<20), 0),
	} {
		got := allocated(func() { Parse(bytes.NewReader(file), int64(len(file))) })
		if limit := uint64(40*len(file) + 1<<16); got > limit {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, got, len(file))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(raw(`{"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"k":"v"}}  `, 8))
	f.Add(raw(`{"b":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}`, 2))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Add(bytes.Repeat([]byte{0xff}, 9))
	for _, text := range testkit.Longer(`{"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"k":"v"},"b":{"x":1}}`) {
		f.Add(raw(text, 8))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := Parse(bytes.NewReader(file), int64(len(file)))
		testkit.Refused(t, err)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v does not wrap ErrCorrupt", err)
			}
			return
		}
		end, seen := h.DataStart, map[string]bool{}
		for _, i := range h.Tensors {
			if h.DataStart+i.Offset != end || i.Size != int64(i.Elems()*i.DType.Size()) || seen[i.Name] {
				t.Fatalf("%+v after byte %d", i, end)
			}
			end += i.Size
			seen[i.Name] = true
		}
		if end != int64(len(file)) {
			t.Fatalf("tensors end at %d of %d", end, len(file))
		}
	})
}
