package pairs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"strings"

	"github.com/bdia-go/bdia/internal/atomicfile"
)

// Writer writes a stored set (see the package comment). Nothing bears the set's
// name before Close. It holds 4 bytes of memory for each pair.
type Writer struct {
	name    string
	h       header
	f       *atomicfile.File
	buf     []byte
	lengths []byte
	err     error // first error; or errClosed
}

var errClosed = errors.New("pairs: writer is closed")

// flushBytes is how much a Writer gathers before it writes.
const flushBytes = 64 << 10

// Create starts the set name in folder dir, which is made if absent. Close
// completes it and replaces an older set of that name; Abort drops it. A set has
// one writer at a time: what an interrupted one left is removed.
func Create(dir, name string, source, target Vocabulary) (*Writer, error) {
	for _, v := range []Vocabulary{source, target} {
		if v.Size < 1 || v.Size > math.MaxInt32 {
			return nil, fmt.Errorf("pairs: vocabulary of %d tokens: it must have 1 to %d", v.Size, math.MaxInt32)
		}
	}
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, `/\*?[`) {
		return nil, fmt.Errorf("pairs: set name %q: give a plain file name such as \"train\"", name)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("pairs: create a set: %w", err)
	}
	if err := atomicfile.Clean(dir, name+setEnding); err != nil {
		return nil, fmt.Errorf("pairs: remove what an interrupted writer left in %s: %w", dir, err)
	}
	f, err := atomicfile.Create(setPath(dir, name))
	if err != nil {
		return nil, fmt.Errorf("pairs: create a set in %s: %w", dir, err)
	}
	w := &Writer{name: name, f: f, h: header{source: source, target: target, width: widthFor(source, target)},
		buf: make([]byte, headerSize, flushBytes+2*MaxTokens*4)}
	if _, w.err = f.Write(w.buf); w.err != nil {
		w.Abort()
		return nil, fmt.Errorf("pairs: create a set: %w", w.err)
	}
	w.buf = w.buf[:0]
	return w, nil
}

// Len returns the number of pairs written so far.
func (w *Writer) Len() int { return w.h.pairs }

// Add appends a pair. A sentence of more than MaxTokens, and an id outside its
// vocabulary, is an error that names the pair. After an error the writer only
// repeats it.
func (w *Writer) Add(source, target []int32) error {
	if w.err != nil {
		return w.err
	}
	if w.err = w.check(source, w.h.source); w.err == nil {
		w.err = w.check(target, w.h.target)
	}
	if w.err == nil && w.h.pairs == math.MaxInt32 {
		w.err = fmt.Errorf("more than %d pairs: split the text", w.h.pairs)
	}
	if w.err == nil {
		w.put(source)
		w.put(target)
		w.lengths = binary.LittleEndian.AppendUint16(w.lengths, uint16(len(source)))
		w.lengths = binary.LittleEndian.AppendUint16(w.lengths, uint16(len(target)))
		w.h.pairs++
		if len(w.buf) >= flushBytes {
			w.flush()
		}
	}
	if w.err != nil {
		w.err = fmt.Errorf("pairs: pair %d of %s: %w", w.h.pairs, w.name, w.err)
	}
	return w.err
}

func (w *Writer) check(ids []int32, v Vocabulary) error {
	if len(ids) > MaxTokens {
		return fmt.Errorf("a sentence of %d tokens: at most %d fit", len(ids), MaxTokens)
	}
	for _, id := range ids {
		if id < 0 || int(id) >= v.Size {
			return fmt.Errorf("token %d is outside the vocabulary of %d", id, v.Size)
		}
	}
	return nil
}

func (w *Writer) put(ids []int32) {
	for _, id := range ids {
		if w.h.width == 2 {
			w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(id))
		} else {
			w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(id))
		}
	}
	w.h.tokens += int64(len(ids))
}

func (w *Writer) flush() {
	w.h.crc = crc32.Update(w.h.crc, castagnoli, w.buf)
	_, w.err = w.f.Write(w.buf)
	w.buf = w.buf[:0]
}

// Close writes the lengths and the header and gives the set its name. On an
// error, and if there is no pair (ErrNoPairs), the set is dropped as by Abort.
func (w *Writer) Close() error {
	defer w.Abort()
	if w.err != nil {
		return w.err
	}
	if w.h.pairs == 0 {
		return fmt.Errorf("pairs: %w: the set %s is empty", ErrNoPairs, w.name)
	}
	if err := w.complete(); err != nil {
		return fmt.Errorf("pairs: complete %s: %w", w.name, err)
	}
	return nil
}

func (w *Writer) complete() error {
	if w.flush(); w.err != nil {
		return w.err
	}
	w.buf = w.lengths
	if w.flush(); w.err != nil {
		return w.err
	}
	if _, err := w.f.WriteAt(w.h.encode(), 0); err != nil {
		return err
	}
	return w.f.Commit()
}

// Abort drops the set. After Close it does nothing, so that it can be deferred.
func (w *Writer) Abort() {
	w.f.Abort()
	if w.err == nil {
		w.err = errClosed
	}
}
