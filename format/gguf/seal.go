package gguf

import (
	"encoding/binary"
	"fmt"

	"github.com/bdia-go/bdia/internal/seal"
)

var (
	// ErrNoSum is wrapped by Check's error about a file without a checksum: this library did not write it, or no
	// complete one.
	ErrNoSum = seal.ErrNone
	// ErrChanged is wrapped by Check's error about a file that is not the one that was written.
	ErrChanged = seal.ErrChanged
)

// Unsealed is the key of a file's checksum, before Seal. It has to be the first key of the file.
func Unsealed() KV { return KV{seal.Key, seal.Zeros} }

// Seal writes the checksum of the whole file at path, which has the key Unsealed, into it: XXH3 of 128 bits, of the
// file with zeros in place of its digits.
func Seal(path string) error {
	if err := seal.Put(path, sumPlace); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// Check compares the file at path with its checksum. Errors: ErrNoSum, ErrChanged.
func Check(path string) error {
	if err := seal.Check(path, sumPlace); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// sumPlace returns where the digits of the checksum are, and what is before them: it is the first key.
func sumPlace(int64) (at int64, before string) {
	b := binary.LittleEndian.AppendUint32(appendText(nil, seal.Key), uint32(kindString))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(seal.Zeros)))
	return int64(24 + len(b)), string(b)
}
