// Package idfile is the common part of files of token ids (shards of text, and
// sets of pairs): a header of 128 bytes with its own checksum, ids of 2 or 4
// bytes, and a writer. All numbers are little-endian. Each kind of file has its
// own header fields within the same frame:
//
//	offset  bytes
//	     0      8  magic
//	     8      4  version
//	    12      4  width of one id in bytes
//	    16         fields of the kind of file, then zeros
//	   124      4  CRC-32C of bytes 0 to 123
//	   128         ids, and what the kind of file has after them
//
// Errors name neither package nor file: callers know both and wrap the errors.
package idfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// HeaderSize is the number of bytes of a header.
const HeaderSize = 128

const sumAt = 124 // offset of the header's checksum

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum returns the CRC-32C of b.
func Sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Kind is a kind of file.
type Kind struct {
	Magic   string // 8 bytes
	Version uint32
	End     int // offset of the first unused byte of the header
}

// Header returns a header with ids of width bytes and the fields that put sets.
func (k Kind) Header(width int, put func(b []byte)) []byte {
	b := make([]byte, HeaderSize)
	copy(b, k.Magic)
	binary.LittleEndian.PutUint32(b[8:], k.Version)
	binary.LittleEndian.PutUint32(b[12:], uint32(width))
	put(b)
	Seal(b)
	return b
}

// Seal sets the checksum of the header b.
func Seal(b []byte) { binary.LittleEndian.PutUint32(b[sumAt:], Sum(b[:sumAt])) }

// Check reports why b, the bytes of a file, does not start with a whole header of
// this kind. The fields and the width are left to the caller.
func (k Kind) Check(b []byte) error {
	if len(b) < HeaderSize {
		return fmt.Errorf("%d bytes, the header alone has %d", len(b), HeaderSize)
	}
	if string(b[:8]) != k.Magic {
		return fmt.Errorf("it starts with %q, not %q", b[:8], k.Magic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != k.Version {
		return fmt.Errorf("format version %d, this program reads %d", v, k.Version)
	}
	if Sum(b[:sumAt]) != binary.LittleEndian.Uint32(b[sumAt:]) {
		return errors.New("the header does not match its checksum")
	}
	for _, x := range b[k.End:sumAt] {
		if x != 0 {
			return errors.New("the unused part of the header is not zero")
		}
	}
	return nil
}

// Vocab describes the tokens of a file.
type Vocab struct {
	Size        int      // number of tokens, 1 to 2^31-1
	Fingerprint [32]byte // of the tokenizer; zero: not known
}

// Validate returns an error for an impossible size.
func (v Vocab) Validate() error {
	if v.Size < 1 || int64(v.Size) > math.MaxInt32 {
		return fmt.Errorf("vocabulary of %d tokens: it must have 1 to %d", v.Size, math.MaxInt32)
	}
	return nil
}

// Match returns an error if v, from a file, differs from the wanted vocabulary. A
// zero size or fingerprint in want matches any.
func (v Vocab) Match(want Vocab) error {
	if want.Size != 0 && want.Size != v.Size {
		return fmt.Errorf("vocabulary of %d, wanted %d: encode the text anew", v.Size, want.Size)
	}
	if want.Fingerprint != ([32]byte{}) && want.Fingerprint != v.Fingerprint {
		return fmt.Errorf("fingerprint %x, wanted %x: encode the text anew", v.Fingerprint[:4], want.Fingerprint[:4])
	}
	return nil
}

// Width returns the bytes of an id in a file of these vocabularies: 2 if each has
// at most 65536 tokens, else 4.
func Width(vocabs ...Vocab) int {
	for _, v := range vocabs {
		if v.Size > 1<<16 {
			return 4
		}
	}
	return 2
}

// Outside returns the index of the first id that is not in a vocabulary of size
// tokens, or -1.
func Outside(ids []int32, size int) int {
	for i, id := range ids {
		if uint32(id) >= uint32(size) {
			return i
		}
	}
	return -1
}

// Decode fills dst with the first ids of b, each of width bytes, and returns the
// index of the first that is not in a vocabulary of size tokens, or -1.
func Decode(dst []int32, b []byte, width, size int) int {
	b = b[:len(dst)*width]
	if width == 2 {
		for i := range dst {
			dst[i] = int32(binary.LittleEndian.Uint16(b[2*i:]))
		}
	} else {
		for i := range dst {
			dst[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	return Outside(dst, size)
}
