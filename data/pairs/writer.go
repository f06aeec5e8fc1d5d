package pairs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/internal/idfile"
)

// Writer writes a stored set (see the package comment). The file gets its name
// in Close. A Writer needs 4 bytes of memory for each pair.
type Writer struct {
	name    string
	h       header
	f       *idfile.Writer
	lengths []byte
	err     error // first error; or errClosed
}

var errClosed = errors.New("pairs: writer is closed")

// Create starts the set name in folder dir, creating dir if necessary. Close
// completes the set and replaces an older one of that name; Abort drops it. Only
// one writer at a time may write a set; the files of an interrupted writer are
// removed.
func Create(dir, name string, source, target Vocabulary) (*Writer, error) {
	for _, v := range []Vocabulary{source, target} {
		if err := idfile.Vocab(v).Validate(); err != nil {
			return nil, fmt.Errorf("pairs: %w", err)
		}
	}
	if err := idfile.Prepare(dir, name, name+setEnding); err != nil {
		return nil, fmt.Errorf("pairs: %w", err)
	}
	h := header{source: source, target: target, width: idfile.Width(idfile.Vocab(source), idfile.Vocab(target))}
	f, err := idfile.Create(setPath(dir, name), h.width)
	if err != nil {
		return nil, fmt.Errorf("pairs: create a set in %s: %w", dir, err)
	}
	return &Writer{name: name, h: h, f: f}, nil
}

// Len returns the number of pairs written so far.
func (w *Writer) Len() int { return w.h.pairs }

// Add appends a pair. A sentence of more than MaxTokens or an id outside its
// vocabulary is an error that names the pair. After an error, later calls return
// it again.
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
		w.err = cmp.Or(w.f.Add(source), w.f.Add(target))
	}
	if w.err == nil {
		w.lengths = binary.LittleEndian.AppendUint16(w.lengths, uint16(len(source)))
		w.lengths = binary.LittleEndian.AppendUint16(w.lengths, uint16(len(target)))
		w.h.pairs++
		w.h.tokens += int64(len(source) + len(target))
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
	if i := idfile.Outside(ids, v.Size); i >= 0 {
		return fmt.Errorf("token %d is outside the vocabulary of %d", ids[i], v.Size)
	}
	return nil
}

// Close writes the lengths and the header and renames the file to its final
// name. On an error, or without pairs (ErrNoPairs), it drops the set like Abort.
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
	if err := w.f.AddBytes(w.lengths); err != nil {
		return err
	}
	if err := w.f.Close(); err != nil {
		return err
	}
	w.h.crc = w.f.Sum()
	if err := w.f.SetHeader(w.h.encode()); err != nil {
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
