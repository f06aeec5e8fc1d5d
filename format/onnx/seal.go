package onnx

import (
	"fmt"

	"github.com/bdia-go/bdia/internal/seal"
)

var (
	// ErrNoSum is wrapped by Check's error about a file without a checksum: this library did not write it.
	ErrNoSum = seal.ErrNone
	// ErrChanged is wrapped by Check's error about a file that is not the one that was written.
	ErrChanged = seal.ErrChanged
)

// Check compares the file at path with its checksum, without the file that may have its tensors: XXH3 of 128 bits, of
// the file with zeros in place of its digits, which are its last bytes. Errors: ErrNoSum, ErrChanged.
func Check(path string) error {
	if err := seal.Check(path, sumPlace); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	return nil
}

// sumPlace returns where the digits of the checksum are, and what is before them.
func sumPlace(size int64) (at int64, before string) {
	entry := sumEntry()
	n := len(entry) - len(seal.Zeros)
	return size - int64(len(seal.Zeros)), string(entry[:n])
}

// sumEntry returns the metadata that hold the checksum, with zeros in its place.
func sumEntry() []byte {
	return appendMessage(nil, modelMetadata, appendText(appendText(nil, entryKey, seal.Key), entryValue, seal.Zeros))
}
