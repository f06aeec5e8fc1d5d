package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/bdia-go/bdia/internal/idfile"
	"github.com/bdia-go/bdia/internal/mmap"
)

// kind is the frame of a shard; the package comment has the whole layout.
var kind = idfile.Kind{Magic: "BDIATOK\x00", Version: 1, End: 80}

// header is the description of one shard.
type header struct {
	width  int
	vocab  idfile.Vocab
	crc    uint32
	count  int64
	index  uint32
	shards uint32
	total  int64
}

func (h header) encode() []byte {
	return kind.Header(h.width, func(b []byte) {
		le := binary.LittleEndian
		le.PutUint32(b[16:], uint32(h.vocab.Size))
		le.PutUint32(b[20:], h.crc)
		le.PutUint64(b[24:], uint64(h.count))
		copy(b[32:64], h.vocab.Fingerprint[:])
		le.PutUint32(b[64:], h.index)
		le.PutUint32(b[68:], h.shards)
		le.PutUint64(b[72:], uint64(h.total))
	})
}

// parseHeader reads the header at the start of b, from a file of fileSize
// bytes. The error does not name package or file.
func parseHeader(b []byte, fileSize int64) (header, error) {
	bad := func(format string, args ...any) (header, error) {
		return header{}, fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
	if err := kind.Check(b); err != nil {
		return bad("%v", err)
	}
	le := binary.LittleEndian
	vocab, count, total := le.Uint32(b[16:]), le.Uint64(b[24:]), le.Uint64(b[72:])
	if vocab < 1 || vocab > math.MaxInt32 {
		return bad("vocabulary of %d tokens", vocab)
	}
	h := header{
		vocab: idfile.Vocab{Size: int(vocab), Fingerprint: [32]byte(b[32:64])}, crc: le.Uint32(b[20:]),
		index: le.Uint32(b[64:]), shards: le.Uint32(b[68:]),
	}
	h.width = idfile.Width(h.vocab)
	if w := le.Uint32(b[12:]); w != uint32(h.width) {
		return bad("tokens of %d bytes, a vocabulary of %d has %d", w, vocab, h.width)
	}
	if size := fileSize - idfile.HeaderSize; size < 0 || size%int64(h.width) != 0 || uint64(size)/uint64(h.width) != count {
		return bad("%d bytes of tokens, the header says %d tokens of %d bytes", size, count, h.width)
	}
	if h.index >= h.shards {
		return bad("shard %d of %d", h.index, h.shards)
	}
	if total < count || total > math.MaxInt64 {
		return bad("%d tokens in a set of %d", count, total)
	}
	h.count, h.total = int64(count), int64(total)
	return h, nil
}

// OpenOptions are checks to make when shards are opened. The zero value checks
// the headers and that the set is complete.
type OpenOptions struct {
	// Checksum reads all tokens once and compares their checksums.
	Checksum bool
	// VocabSize, if not 0, must equal the set's.
	VocabSize int
	// Fingerprint, if not zero, must equal the set's.
	Fingerprint [32]byte
}

// ErrTokenizer is wrapped by errors about a set written with another tokenizer
// than OpenOptions require.
var ErrTokenizer = errors.New("tokens of another tokenizer")

// Shards are the Tokens of a set on disk, mapped into memory. The files must
// not shrink while open. (A ShardWriter never changes a finished file.)
type Shards struct {
	name   string
	first  header
	total  int64 // tokens opened
	shards []shard
}

type shard struct {
	start int64  // position of its first token in the set
	data  []byte // the tokens
	unmap func() error
}

// OpenShards opens the set name in folder dir. A damaged file, or one of
// another set, is ErrCorrupt; a missing file is fs.ErrNotExist; a set of
// another tokenizer is ErrTokenizer.
func OpenShards(dir, name string, opts OpenOptions) (*Shards, error) {
	s := &Shards{name: name}
	for i := 0; i == 0 || uint32(i) < s.first.shards; i++ {
		path := shardPath(dir, name, i)
		if err := s.add(path, i, opts); err != nil {
			s.Close()
			return nil, fmt.Errorf("data: open %s: %w", path, err)
		}
	}
	if s.total != s.first.total {
		s.Close()
		return nil, fmt.Errorf("data: open %s: %w: the shards hold %d tokens, their headers say %d",
			shardPath(dir, name, 0), ErrCorrupt, s.total, s.first.total)
	}
	return s, nil
}

// add opens shard number index.
func (s *Shards) add(path string, index int, opts OpenOptions) (err error) {
	defer mmap.Lost(mmap.Reading(), &err)
	b, unmap, err := mmap.Open(path)
	if err != nil {
		return err
	}
	h, err := parseHeader(b, int64(len(b)))
	if err == nil {
		err = s.check(h, index, b[idfile.HeaderSize:], opts)
	}
	if err != nil {
		return errors.Join(err, unmap())
	}
	s.shards = append(s.shards, shard{s.total, b[idfile.HeaderSize:], unmap})
	s.total += h.count
	return nil
}

// check compares a header with the set's first header and with opts.
func (s *Shards) check(h header, index int, tokens []byte, opts OpenOptions) error {
	if index == 0 {
		s.first = h
	}
	f := s.first
	if h.index != uint32(index) || h.shards != f.shards || h.total != f.total || h.vocab != f.vocab {
		return fmt.Errorf("%w: it belongs to another set of shards: write the set anew", ErrCorrupt)
	}
	if err := h.vocab.Match(idfile.Vocab{Size: opts.VocabSize, Fingerprint: opts.Fingerprint}); err != nil {
		return fmt.Errorf("%w: %w", ErrTokenizer, err)
	}
	if opts.Checksum && idfile.Sum(tokens) != h.crc {
		return fmt.Errorf("%w: the tokens do not match their checksum: write the set anew", ErrCorrupt)
	}
	return nil
}

// Len returns the number of tokens in all shards.
func (s *Shards) Len() int64 { return s.total }

// VocabSize returns the vocabulary size of the tokenizer: all ids are below it.
func (s *Shards) VocabSize() int { return s.first.vocab.Size }

// Fingerprint returns the tokenizer's fingerprint, zero if unknown.
func (s *Shards) Fingerprint() [32]byte { return s.first.vocab.Fingerprint }

// Read fills dst with the tokens from offset on, across shards. An id outside
// the vocabulary is ErrCorrupt, with its position.
func (s *Shards) Read(dst []int32, offset int64) (err error) {
	if err := checkRange(len(dst), offset, s.total); err != nil {
		return err
	}
	if err = s.read(dst, offset); errors.Is(err, mmap.ErrLost) {
		err = fmt.Errorf("data: tokens of %s at position %d: %w", s.name, offset, err)
	}
	return err
}

// read is Read within the range.
func (s *Shards) read(dst []int32, offset int64) (err error) {
	defer mmap.Lost(mmap.Reading(), &err)
	i := sort.Search(len(s.shards), func(i int) bool { return s.shards[i].start > offset }) - 1
	width, vocab := s.first.width, s.first.vocab.Size
	for ; len(dst) > 0; i++ {
		at := offset - s.shards[i].start
		b := s.shards[i].data[at*int64(width):]
		n := min(len(dst), len(b)/width)
		if bad := idfile.Decode(dst[:n], b, width, vocab); bad >= 0 {
			return fmt.Errorf("data: %w: token %d at position %d of %s is outside the vocabulary of %d: write the set anew",
				ErrCorrupt, uint32(dst[bad]), offset+int64(bad), s.name, vocab)
		}
		dst, offset = dst[n:], offset+int64(n)
	}
	return nil
}

// Close unmaps the files. No Read may be running; a later Read finds no tokens.
func (s *Shards) Close() error {
	var err error
	for _, sh := range s.shards {
		err = errors.Join(err, sh.unmap())
	}
	s.shards, s.total = nil, 0
	return err
}
