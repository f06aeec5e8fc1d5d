package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// header is everything before the data.
type header struct {
	version   uint32
	keys      []KV
	tensors   []Info // in the order of their data
	dataStart int64
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// cursor reads the header of a file. After a failure it yields zeros and keeps
// the error.
type cursor struct {
	b   []byte // the header's bytes not yet read
	at  int64  // where b begins in the file
	err error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = corrupt(format, args...)
	}
}

// take returns the next n bytes, or nil.
func (c *cursor) take(n int64) []byte {
	if c.err == nil && (n < 0 || n > int64(len(c.b))) {
		c.fail("%d bytes wanted at byte %d, where the header has %d left: fetch the file again", uint64(n), c.at, len(c.b))
	}
	if c.err != nil {
		return nil
	}
	p := c.b[:n]
	c.b, c.at = c.b[n:], c.at+n
	return p
}

func (c *cursor) u32() uint32 {
	if p := c.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if p := c.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// count reads the number of items that follow, each of at least size bytes.
func (c *cursor) count(what string, size, limit int64) int {
	n := c.u64()
	if n > uint64(limit) || n > uint64(len(c.b))/uint64(size) {
		c.fail("%d %s before byte %d, at most %d are possible", n, what, c.at, min(limit, int64(len(c.b))/size))
		return 0
	}
	return int(n)
}

// text reads a string of at most limit bytes.
func (c *cursor) text(limit int64) string {
	n := c.u64()
	if n > uint64(limit) {
		c.fail("a string of %d bytes at byte %d, at most %d are possible", n, c.at, limit)
	}
	return string(c.take(int64(n)))
}

// name reads a key or the name of a tensor.
func (c *cursor) name(what string, limit int64) string {
	at := c.at
	s := c.text(limit)
	if c.err == nil && (s == "" || !utf8.ValidString(s)) {
		c.fail("%s %.64q at byte %d is empty or not UTF-8", what, s, at)
	}
	return s
}

// elems reads n little-endian numbers.
func elems[T any](c *cursor, n int) []T {
	var one T
	p := c.take(int64(binary.Size(one)) * int64(n))
	if p == nil {
		return nil
	}
	list := make([]T, n)
	if _, err := binary.Decode(p, binary.LittleEndian, list); err != nil {
		c.fail("%v", err)
	}
	return list
}

// value reads a value of a kind other than array, or n of them.
func (c *cursor) value(k kind, n int) (one, all any) {
	switch k {
	case kindU8:
		return both(elems[uint8](c, n))
	case kindI8:
		return both(elems[int8](c, n))
	case kindU16:
		return both(elems[uint16](c, n))
	case kindI16:
		return both(elems[int16](c, n))
	case kindU32:
		return both(elems[uint32](c, n))
	case kindI32:
		return both(elems[int32](c, n))
	case kindF32:
		return both(elems[float32](c, n))
	case kindU64:
		return both(elems[uint64](c, n))
	case kindI64:
		return both(elems[int64](c, n))
	case kindF64:
		return both(elems[float64](c, n))
	case kindBool:
		list := make([]bool, n)
		for i, b := range c.take(int64(n)) {
			if b > 1 {
				c.fail("a bool of %d before byte %d", b, c.at)
			}
			list[i] = b == 1
		}
		return both(list)
	case kindString:
		list := make([]string, n)
		for i := range list {
			list[i] = c.text(maxHeader)
		}
		return both(list)
	}
	c.fail("kind of value %d before byte %d is not one of the format, or an array of arrays", k, c.at)
	return nil, nil
}

// both returns the first element and the whole list.
func both[T any](list []T) (one, all any) {
	if len(list) > 0 {
		one = list[0]
	}
	return one, list
}

// kv reads one key and its value.
func (c *cursor) kv() KV {
	kv := KV{Key: c.name("key", maxKey)}
	k := kind(c.u32())
	if k != kindArray {
		kv.Value, _ = c.value(k, 1)
		return kv
	}
	k = kind(c.u32())
	size := int64(1)
	if k < kind(len(kindSizes)) && k != kindArray {
		size = kindSizes[k]
	}
	_, kv.Value = c.value(k, c.count("elements of "+kv.Key, size, maxHeader))
	return kv
}

// tensor reads the description of a tensor.
func (c *cursor) tensor() Info {
	t := Info{Name: c.name("tensor", maxName)}
	rank := c.u32()
	if rank > maxRank {
		c.fail("tensor %q: %d dimensions, at most %d", t.Name, rank, maxRank)
		return t
	}
	for range rank {
		d := c.u64()
		if d > math.MaxInt/4 {
			c.fail("tensor %q: a dimension of %d", t.Name, d)
		}
		t.Shape = append(t.Shape, int(d))
	}
	slices.Reverse(t.Shape)
	t.Type = Type(c.u32())
	offset := c.u64()
	if c.err != nil {
		return t
	}
	size, err := t.check()
	if err != nil {
		c.err = fmt.Errorf("%w: tensor %q: %w", ErrCorrupt, t.Name, err)
	}
	if offset > math.MaxInt64/2 {
		c.fail("tensor %q: offset %d", t.Name, offset)
	}
	t.Offset, t.Size = int64(offset), size
	return t
}

// parse reads and checks the header of a whole file.
func parse(file []byte) (*header, error) {
	if len(file) == 0 {
		return nil, corrupt("the file is empty")
	}
	c := &cursor{b: file[:min(len(file), maxHeader)]}
	if m := c.take(4); m != nil && string(m) != magic {
		return nil, corrupt("it begins with %q, not %q: not a GGUF file?", m, magic)
	}
	h := &header{version: c.u32()}
	switch v := h.version; {
	case c.err != nil:
		return nil, c.err
	case v&0xffff == 0 && v != 0:
		return nil, fmt.Errorf("%w: big-endian; convert it to little-endian", ErrUnsupported)
	case v != 2 && v != 3:
		return nil, fmt.Errorf("%w: version %d; 2 and 3 are supported, so convert the model again", ErrUnsupported, v)
	}
	// The shortest tensor has a name of 1 byte and one dimension, the shortest key
	// 1 byte and a value of one.
	tensors := c.count("tensors", 8+1+4+8+4+8, maxTensors)
	keys := c.count("keys", 8+1+4+1, maxKeys)
	alignment := int64(defaultAlignment)
	seen := make(map[string]bool, keys)
	for range keys {
		kv := c.kv()
		if c.err != nil {
			return nil, c.err
		}
		if seen[kv.Key] {
			return nil, corrupt("key %q occurs twice", kv.Key)
		}
		seen[kv.Key] = true
		if kv.Key == alignmentKey {
			v, ok := kv.Value.(uint32)
			if !ok || v == 0 || v&(v-1) != 0 || v > maxAlignment {
				return nil, corrupt("%s is %v, not a power of two up to %d", alignmentKey, kv.Value, maxAlignment)
			}
			alignment = int64(v)
		}
		h.keys = append(h.keys, kv)
	}
	clear(seen)
	for range tensors {
		t := c.tensor()
		if c.err != nil {
			return nil, c.err
		}
		if seen[t.Name] {
			return nil, corrupt("tensor %q occurs twice", t.Name)
		}
		seen[t.Name] = true
		h.tensors = append(h.tensors, t)
	}
	if c.err != nil {
		return nil, c.err
	}
	h.dataStart = pad(c.at, alignment)
	return h, h.checkTiling(int64(len(file)), alignment)
}

// checkTiling requires that the tensors fill the rest of the file in order: each
// begins right after the padding of the one before.
func (h *header) checkTiling(size, alignment int64) error {
	end := int64(0)
	for _, t := range h.tensors {
		if want := pad(end, alignment); t.Offset != want {
			return corrupt("tensor %q begins at byte %d of the data, not at %d, where the one before it ends", t.Name, t.Offset, want)
		}
		end = t.Offset + t.Size
		if end > size-h.dataStart {
			return corrupt("tensor %q ends at byte %d of %d: fetch the file again", t.Name, h.dataStart+end, size)
		}
	}
	if len(h.tensors) > 0 && h.dataStart+pad(end, alignment) < size {
		return corrupt("%d bytes after the last tensor", size-h.dataStart-end)
	}
	return nil
}
