// Package gguf reads and writes GGUF files, the model files of llama.cpp: a header, typed keys and values,
// descriptions of the tensors, then their data, little-endian.
//
//	"GGUF", uint32 version, uint64 number of tensors, uint64 number of keys
//	each key: string, uint32 kind, the value; of an array uint32 kind, uint64 count, the elements
//	each tensor: string name, uint32 rank, uint64 dimensions (the innermost first), uint32 type, uint64 offset
//	padding, then the data of each tensor, padded to the alignment (32, or the key general.alignment)
//
// A string is a uint64 length and the bytes. Versions 2 and 3 are read (they do not differ in anything used
// here); version 3 is written. See https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
//
// Files are untrusted. The reader refuses abuses that the format allows: counts and lengths beyond the file,
// duplicate keys and names, arrays of arrays, and tensors that overlap or leave gaps.
package gguf

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

var (
	// ErrCorrupt is wrapped by every error about a file that breaks the format.
	ErrCorrupt = errors.New("corrupt file")
	// ErrUnsupported is wrapped by errors about files of a version, byte order or
	// tensor type that this package does not read.
	ErrUnsupported = errors.New("unsupported file")
)

const (
	magic            = "GGUF"
	defaultAlignment = 32
	alignmentKey     = "general.alignment"

	maxHeader    = 256 << 20 // bytes before the data: vocabularies of millions of tokens
	maxTensors   = 1 << 16
	maxKeys      = 1 << 16
	maxKey       = 1 << 10 // bytes of a key
	maxName      = 63      // bytes of a tensor's name, the limit of ggml
	maxRank      = 4
	maxAlignment = 1 << 16
)

// KV is a key with its value: a bool, string, float32, float64, int8 to int64 or
// uint8 to uint64, or a slice of one of these.
type KV struct {
	Key   string
	Value any
}

// Info describes one tensor.
type Info struct {
	Name string
	Type Type
	// Shape has the outermost dimension first, so that data are row-major. In the file the innermost comes
	// first.
	Shape []int
	// Offset and Size are the tensor's byte range, counted from the beginning of
	// the data. NewWriter sets them itself.
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

// check returns the size of the tensor in bytes, or an error if its description is invalid.
func (i Info) check() (int64, error) {
	elems, bytes := i.Type.block()
	switch {
	case elems == 0:
		return 0, fmt.Errorf("%w: %v; this reads and writes F32, F16, BF16 and Q8_0", ErrUnsupported, i.Type)
	case len(i.Shape) < 1 || len(i.Shape) > maxRank:
		return 0, fmt.Errorf("%d dimensions, not 1 to %d", len(i.Shape), maxRank)
	case i.Shape[len(i.Shape)-1]%elems != 0:
		return 0, fmt.Errorf("rows of %d elements are not a multiple of the %d of a group of %v", i.Shape[len(i.Shape)-1], elems, i.Type)
	}
	n := uint64(1)
	for _, d := range i.Shape {
		if d < 1 {
			return 0, fmt.Errorf("shape %v", i.Shape)
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt/4 {
			return 0, fmt.Errorf("shape %v is too large", i.Shape)
		}
		n = lo
	}
	return int64(n) / int64(elems) * int64(bytes), nil
}

// pad rounds n up to a multiple of the alignment, a power of two.
func pad(n, alignment int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// kind is the type of a value in the file.
type kind uint32

const (
	kindU8 kind = iota
	kindI8
	kindU16
	kindI16
	kindU32
	kindI32
	kindF32
	kindBool
	kindString
	kindArray
	kindU64
	kindI64
	kindF64
)

// kindSizes has the bytes of one element of each kind; for a string, the bytes of its length field.
var kindSizes = [...]int64{1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8}
