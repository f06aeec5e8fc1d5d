// Package safetensors reads and writes safetensors files: an 8-byte
// little-endian header length, a JSON header (name → dtype, shape,
// data_offsets, and an optional __metadata__ of strings), then the raw
// little-endian tensors one after the other.
// See https://huggingface.co/docs/safetensors.
//
// Files are untrusted. The reader refuses abuses that the format allows:
// oversized headers, duplicate names, and byte ranges that overlap, leave gaps,
// or disagree with dtype and shape.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// ErrCorrupt is wrapped by every error about a file that breaks the format.
var ErrCorrupt = errors.New("corrupt file")

const (
	maxHeader   = 100_000_000 // bytes, the limit of the reference implementation
	maxRank     = 32
	maxName     = 4096 // bytes of a tensor's name or a metadata key
	metadataKey = "__metadata__"
)

// Info describes one tensor.
type Info struct {
	Name  string
	DType DType
	Shape []int // empty for a scalar
	// Offset and Size are the tensor's byte range, counted from the end of
	// the header. NewWriter sets them itself.
	Offset, Size int64
}

// Elems is the number of elements, the product of Shape.
func (i Info) Elems() int {
	n := 1
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// byteSize is the checked product of the shape and the size of the type.
func (i Info) byteSize() (int64, error) {
	n := uint64(i.DType.Size())
	if n == 0 {
		return 0, fmt.Errorf("unknown dtype %v", i.DType)
	}
	for _, d := range i.Shape {
		if d < 0 {
			return 0, fmt.Errorf("negative dimension in shape %v", i.Shape)
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return 0, fmt.Errorf("shape %v is too large", i.Shape)
		}
		n = lo
	}
	return int64(n), nil
}

// Header is the parsed description of a file.
type Header struct {
	Tensors   []Info            // in the order of their data
	Metadata  map[string]string // nil if the file has none
	DataStart int64             // offset of the first tensor in the file
}

// Parse reads and checks the header of a safetensors file of size bytes. Errors
// wrap ErrCorrupt or an error of r.
func Parse(r io.ReaderAt, size int64) (*Header, error) {
	h, err := parse(r, size)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return h, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

func parse(r io.ReaderAt, size int64) (*Header, error) {
	if what, err := other(r, size); err != nil || what != "" {
		return nil, cmp.Or(err, corrupt("%s", what))
	}
	if size < 8 {
		return nil, corrupt("%d bytes are too short for a header", size)
	}
	var first [8]byte
	if err := readAt(r, first[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(first[:])
	if n > maxHeader {
		return nil, corrupt("header of %d bytes is over the limit of %d: not a safetensors file?", n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, corrupt("header of %d bytes in a file of %d: fetch the file again", n, size)
	}
	text := make([]byte, n)
	if err := readAt(r, text, 8); err != nil {
		return nil, err
	}
	h, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	h.DataStart = 8 + int64(n)
	if err := h.checkTiling(size - h.DataStart); err != nil {
		return nil, err
	}
	return h, nil
}

// formats are the first bytes of other files of weights.
var formats = []struct{ magic, what string }{
	{"PK\x03\x04", "it is a zip archive, as PyTorch's torch.save writes, not safetensors: load it with PyTorch and save it as safetensors"},
	{"\x80\x02", pickle}, {"\x80\x03", pickle}, {"\x80\x04", pickle}, {"\x80\x05", pickle},
	{"GGUF", "it is a GGUF file of llama.cpp, not safetensors: take the model's folder of Hugging Face's files"},
	{"\x1f\x8b", "it is compressed by gzip: unpack it"},
	{"\x89HDF\r\n", "it is an HDF5 file of Keras, not safetensors: load it there and save it as safetensors"},
	{"version ", "a text file, perhaps a Git LFS pointer: fetch the file itself (git lfs pull)"},
}

const pickle = "it is a pickle of PyTorch, not safetensors: load it with PyTorch and save it as safetensors"

// other says what a file that cannot be safetensors is by its first bytes; empty: it may be.
func other(r io.ReaderAt, size int64) (string, error) {
	head := make([]byte, min(size, 512))
	if err := readAt(r, head, 0); err != nil {
		return "", err
	}
	if len(head) > 8 && head[8] == '{' {
		return "", nil
	}
	for _, f := range formats {
		if strings.HasPrefix(string(head), f.magic) {
			return f.what, nil
		}
	}
	if size == 0 || head[0] == '<' || head[0] == '.' || head[0] == 0xef || head[0] <= ' ' {
		return jsonfile.Other(head), nil
	}
	if printable(head) {
		return fmt.Sprintf("it is a text, which begins with %q; fetch the file again", head[:min(len(head), 40)]), nil
	}
	return "", nil
}

// printable reports whether head is a line of ASCII or more. A header that long would be of 2^61 bytes.
func printable(head []byte) bool {
	return len(head) >= 8 && !slices.ContainsFunc(head, func(b byte) bool { return b != '\n' && b != '\r' && b != '\t' && (b < ' ' || b > '~') })
}

func readAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF {
		return corrupt("file ends at byte %d: fetch the file again", off+int64(n))
	}
	return fmt.Errorf("read header: %w", err)
}

// checkTiling sorts the tensors by position and requires that they fill the
// data of total bytes without gap or overlap.
func (h *Header) checkTiling(total int64) error {
	slices.SortStableFunc(h.Tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	end := int64(0)
	for _, t := range h.Tensors {
		switch {
		case t.Offset > end:
			return corrupt("gap of %d bytes before tensor %.80q", t.Offset-end, t.Name)
		case t.Offset < end:
			return corrupt("tensor %.80q overlaps its neighbour by %d bytes", t.Name, end-t.Offset)
		}
		end += t.Size
		if end > total {
			return corrupt("tensor %.80q ends at byte %d of %d: fetch the file again", t.Name, end, total)
		}
	}
	if end != total {
		return corrupt("%d bytes after the last tensor", total-end)
	}
	return nil
}

// jsonReader walks the header token by token. encoding/json's struct decoding
// would accept duplicate keys and ignore letter case.
type jsonReader struct{ dec *json.Decoder }

func parseJSON(text []byte) (*Header, error) {
	if !utf8.Valid(text) {
		return nil, corrupt("header is not UTF-8")
	}
	if len(text) == 0 || text[0] != '{' {
		return nil, corrupt("header does not begin with '{': not a safetensors file?")
	}
	r := jsonReader{json.NewDecoder(bytes.NewReader(text))}
	r.dec.UseNumber()
	h := &Header{}
	err := r.object("header", func(name string) (err error) {
		if name == metadataKey {
			h.Metadata = map[string]string{}
			return r.object(metadataKey, func(key string) (err error) {
				h.Metadata[key], err = r.str(fmt.Sprintf("%.80q in %s", key, metadataKey))
				return err
			})
		}
		t, err := r.tensor(name)
		h.Tensors = append(h.Tensors, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); err != io.EOF {
		return nil, corrupt("text after the header's last '}'")
	}
	return h, nil
}

func (r jsonReader) tensor(name string) (Info, error) {
	t := Info{Name: name}
	where := fmt.Sprintf("tensor %.80q", name)
	var offsets []int
	seen := 0
	err := r.object(where, func(key string) (err error) {
		seen++
		switch key {
		case "dtype":
			var s string
			if s, err = r.str("dtype of " + where); err != nil {
				return err
			}
			var ok bool
			if t.DType, ok = ParseDType(s); !ok {
				return corrupt("%s: unknown dtype %.64q", where, s)
			}
			return nil
		case "shape":
			t.Shape, err = r.ints("shape of "+where, maxRank)
		case "data_offsets":
			offsets, err = r.ints("data_offsets of "+where, 2)
		default:
			return corrupt("%s: unknown key %.80q", where, key)
		}
		return err
	})
	if err != nil {
		return t, err
	}
	if seen != 3 || len(offsets) != 2 {
		return t, corrupt("%s: needs dtype, shape and two data_offsets", where)
	}
	want, err := t.byteSize()
	if err != nil {
		return t, corrupt("%s: %v", where, err)
	}
	t.Offset = int64(offsets[0])
	t.Size = int64(offsets[1]) - t.Offset
	if t.Size != want {
		return t, corrupt("%s: data_offsets %v hold %d bytes, %v%v needs %d", where, offsets, t.Size, t.DType, t.Shape, want)
	}
	return t, nil
}

// object reads {key: value, ...} and calls value to read each value.
func (r jsonReader) object(where string, value func(key string) error) error {
	if err := r.delim('{', where); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.dec.More() {
		key, err := r.str("key in " + where)
		if err != nil {
			return err
		}
		if len(key) > maxName {
			return corrupt("%s: a name of %d bytes, at most %d", where, len(key), maxName)
		}
		if seen[key] {
			return corrupt("%s: duplicate key %.80q", where, key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return r.delim('}', where)
}

// ints reads a list of at most limit non-negative integers.
func (r jsonReader) ints(where string, limit int) ([]int, error) {
	if err := r.delim('[', where); err != nil {
		return nil, err
	}
	list := []int{}
	for r.dec.More() {
		if len(list) == limit {
			return nil, corrupt("%s: more than %d numbers", where, limit)
		}
		tok, err := r.dec.Token()
		if err != nil {
			return nil, corrupt("%s: %v", where, err)
		}
		num, ok := tok.(json.Number)
		if !ok {
			return nil, corrupt("%s: want a number, got %.64v", where, tok)
		}
		v, err := strconv.ParseUint(string(num), 10, strconv.IntSize-1)
		if err != nil {
			return nil, corrupt("%s: %.64s is not a size", where, num)
		}
		list = append(list, int(v))
	}
	return list, r.delim(']', where)
}

func (r jsonReader) str(where string) (string, error) {
	tok, err := r.dec.Token()
	if err != nil {
		return "", corrupt("%s: %v", where, err)
	}
	s, ok := tok.(string)
	if !ok {
		return "", corrupt("%s: want a string, got %.64v", where, tok)
	}
	return s, nil
}

func (r jsonReader) delim(want json.Delim, where string) error {
	tok, err := r.dec.Token()
	if err != nil {
		return corrupt("%s: %v", where, err)
	}
	if tok != want {
		return corrupt("%s: want %v, got %.64v", where, want, tok)
	}
	return nil
}
