package pairs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/idfile"
	"github.com/bdia-go/bdia/internal/mmap"
)

// Errors of stored sets, for errors.Is.
var (
	// ErrCorrupt is wrapped by errors about a file that a Writer cannot have
	// written.
	ErrCorrupt = errors.New("corrupt set of pairs")
	// ErrTokenizer is wrapped by errors about a set written with other tokenizers
	// than OpenOptions require.
	ErrTokenizer = errors.New("tokens of another tokenizer")
)

// MaxTokens is the largest number of tokens in a sentence.
const MaxTokens = math.MaxUint16 - 1

const (
	lengthSize = 4 // bytes of the two lengths of a pair
	setEnding  = ".pairs"
)

// kind is the frame of a set; the package comment has the whole layout.
var kind = idfile.Kind{Magic: "BDIAPAIR", Version: 1, End: 108}

// header describes a set.
type header struct {
	width  int
	source Vocabulary
	target Vocabulary
	pairs  int
	tokens int64
	crc    uint32
}

// Vocabulary describes the tokens of one side of a set.
type Vocabulary struct {
	// Size is the number of tokens of the tokenizer: 1 to 2^31-1.
	Size int
	// Fingerprint identifies the tokenizer, so that its tokens are not used with
	// another one. Zero means unknown.
	Fingerprint [32]byte
}

func (h header) encode() []byte {
	return kind.Header(h.width, func(b []byte) {
		le := binary.LittleEndian
		le.PutUint32(b[16:], uint32(h.source.Size))
		le.PutUint32(b[20:], uint32(h.target.Size))
		le.PutUint64(b[24:], uint64(h.pairs))
		le.PutUint64(b[32:], uint64(h.tokens))
		copy(b[40:72], h.source.Fingerprint[:])
		copy(b[72:104], h.target.Fingerprint[:])
		le.PutUint32(b[104:], h.crc)
	})
}

// parseHeader reads the header at the start of b, from a file of fileSize bytes.
// The error does not name package or file.
func parseHeader(b []byte, fileSize int64) (header, error) {
	bad := func(format string, args ...any) (header, error) {
		return header{}, fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
	if err := kind.Check(b); err != nil {
		return bad("%v", err)
	}
	le := binary.LittleEndian
	source, target, pairs, tokens := le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint64(b[24:]), le.Uint64(b[32:])
	if source < 1 || source > math.MaxInt32 || target < 1 || target > math.MaxInt32 {
		return bad("vocabularies of %d and %d tokens", source, target)
	}
	h := header{
		source: Vocabulary{int(source), [32]byte(b[40:72])},
		target: Vocabulary{int(target), [32]byte(b[72:104])},
		crc:    le.Uint32(b[104:]),
	}
	h.width = idfile.Width(idfile.Vocab(h.source), idfile.Vocab(h.target))
	if w := le.Uint32(b[12:]); w != uint32(h.width) {
		return bad("tokens of %d bytes, its vocabularies have %d", w, h.width)
	}
	size := fileSize - idfile.HeaderSize
	if pairs < 1 || pairs > math.MaxInt32 || tokens > pairs*2*MaxTokens || size != int64(tokens)*int64(h.width)+int64(pairs)*lengthSize {
		return bad("%d bytes after the header, which says %d pairs of %d tokens", size, pairs, tokens)
	}
	h.pairs, h.tokens = int(pairs), int64(tokens)
	return h, nil
}

// OpenOptions are checks to make when a set is opened. The zero value checks the
// header and the lengths.
type OpenOptions struct {
	// Checksum reads all bytes once and compares their checksum.
	Checksum bool
	// Source and Target, if not zero, must equal the set's.
	Source, Target Vocabulary
}

// Set is a stored set of pairs, mapped into memory. Its methods may be called from
// several goroutines, except Close. The file must not shrink while open. (A Writer
// never changes a finished file.)
type Set struct {
	path    string
	h       header
	tokens  []byte
	lengths []byte
	starts  []int64 // pair i begins at token starts[i]
	unmap   func() error
}

// Open opens the set name in folder dir. A damaged file is ErrCorrupt, a missing
// one fs.ErrNotExist, and a set of other tokenizers ErrTokenizer. It takes 8 bytes
// of memory for each pair.
func Open(dir, name string, o OpenOptions) (*Set, error) {
	s := &Set{path: setPath(dir, name)}
	if err := s.open(o); err != nil {
		return nil, fmt.Errorf("pairs: open %s: %w", s.path, err)
	}
	return s, nil
}

// Remove removes the set name in folder dir. It must not be open.
func Remove(dir, name string) error {
	if err := cmp.Or(disk.Remove(setPath(dir, name)), disk.SyncFolder(dir)); err != nil {
		return fmt.Errorf("pairs: %w", err)
	}
	return nil
}

func setPath(dir, name string) string { return filepath.Join(dir, name+setEnding) }

func (s *Set) open(o OpenOptions) (err error) {
	defer mmap.Lost(mmap.Reading(), &err)
	b, unmap, err := mmap.Open(s.path)
	if err != nil {
		return err
	}
	if err := s.parse(b, o); err != nil {
		return errors.Join(err, unmap())
	}
	s.unmap = unmap
	return nil
}

// parse sets s to the set in b, the bytes of a whole file.
func (s *Set) parse(b []byte, o OpenOptions) (err error) {
	if s.h, err = parseHeader(b, int64(len(b))); err != nil {
		return err
	}
	for _, side := range []struct {
		name      string
		has, want Vocabulary
	}{{"source", s.h.source, o.Source}, {"target", s.h.target, o.Target}} {
		if err := idfile.Vocab(side.has).Match(idfile.Vocab(side.want)); err != nil {
			return fmt.Errorf("%w: %s %w", ErrTokenizer, side.name, err)
		}
	}
	b = b[idfile.HeaderSize:]
	if o.Checksum && idfile.Sum(b) != s.h.crc {
		return fmt.Errorf("%w: its bytes do not match their checksum: write the set anew", ErrCorrupt)
	}
	cut := s.h.tokens * int64(s.h.width)
	s.tokens, s.lengths = b[:cut], slices.Clone(b[cut:]) // lengths are read without an error
	s.starts = make([]int64, s.h.pairs)
	var at int64
	for i := range s.starts {
		s.starts[i] = at
		source, target := s.Lengths(i)
		if source > MaxTokens || target > MaxTokens {
			return fmt.Errorf("%w: pair %d has %d and %d tokens: write the set anew", ErrCorrupt, i, source, target)
		}
		at += int64(source + target)
	}
	if at != s.h.tokens {
		return fmt.Errorf("%w: its pairs have %d tokens, its header says %d: write the set anew", ErrCorrupt, at, s.h.tokens)
	}
	return nil
}

// Len returns the number of pairs.
func (s *Set) Len() int { return len(s.starts) }

// Tokens returns the number of tokens in all pairs, on both sides.
func (s *Set) Tokens() int64 { return s.h.tokens }

// Vocabularies returns the vocabularies of both tokenizers.
func (s *Set) Vocabularies() (source, target Vocabulary) { return s.h.source, s.h.target }

// Lengths returns the numbers of tokens of pair i, 0 <= i < Len.
func (s *Set) Lengths(i int) (source, target int) {
	b := s.lengths[i*lengthSize:][:lengthSize]
	return int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
}

// Source copies the tokens of pair i's source sentence to dst, as many as fit, and
// returns their number. A token outside the vocabulary is ErrCorrupt.
func (s *Set) Source(dst []int32, i int) (int, error) {
	source, _ := s.Lengths(i)
	return s.read(dst[:min(len(dst), source)], s.starts[i], s.h.source, i)
}

// Target is Source for the target sentence.
func (s *Set) Target(dst []int32, i int) (int, error) {
	source, target := s.Lengths(i)
	return s.read(dst[:min(len(dst), target)], s.starts[i]+int64(source), s.h.target, i)
}

// read fills dst with the tokens of pair i that start at position at.
func (s *Set) read(dst []int32, at int64, v Vocabulary, i int) (n int, err error) {
	defer func() {
		if errors.Is(err, mmap.ErrLost) {
			n, err = 0, fmt.Errorf("pairs: %s: pair %d: %w", s.path, i, err)
		}
	}()
	defer mmap.Lost(mmap.Reading(), &err)
	b := s.tokens[at*int64(s.h.width):]
	if bad := idfile.Decode(dst, b, s.h.width, v.Size); bad >= 0 {
		return 0, fmt.Errorf("pairs: %s: %w: token %d of pair %d is outside the vocabulary of %d: write the set anew",
			s.path, ErrCorrupt, uint32(dst[bad]), i, v.Size)
	}
	return len(dst), nil
}

// Close unmaps the file. The set is empty afterwards.
func (s *Set) Close() error {
	if s.unmap == nil {
		return nil
	}
	err := s.unmap()
	s.tokens, s.lengths, s.starts, s.unmap = nil, nil, nil, nil
	return err
}
