package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sort"

	"github.com/bdia-go/bdia/internal/mmap"
)

const (
	magic      = "BDIATOK\x00"
	version    = 1
	headerSize = 128
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the description of one shard; the package comment has its layout.
type header struct {
	width       int
	vocabSize   int
	crc         uint32
	count       int64
	fingerprint [32]byte
	index       uint32
	shards      uint32
	total       int64
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	le := binary.LittleEndian
	copy(b, magic)
	le.PutUint32(b[8:], version)
	le.PutUint32(b[12:], uint32(h.width))
	le.PutUint32(b[16:], uint32(h.vocabSize))
	le.PutUint32(b[20:], h.crc)
	le.PutUint64(b[24:], uint64(h.count))
	copy(b[32:64], h.fingerprint[:])
	le.PutUint32(b[64:], h.index)
	le.PutUint32(b[68:], h.shards)
	le.PutUint64(b[72:], uint64(h.total))
	le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

// parseHeader reads the header at the start of b, from a file of fileSize
// bytes. The error is without package and file name.
func parseHeader(b []byte, fileSize int64) (header, error) {
	bad := func(format string, args ...any) (header, error) {
		return header{}, fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
	le := binary.LittleEndian
	if len(b) < headerSize {
		return bad("%d bytes, the header alone has %d", len(b), headerSize)
	}
	if string(b[:8]) != magic {
		return bad("it starts with %q, not %q", b[:8], magic)
	}
	if v := le.Uint32(b[8:]); v != version {
		return bad("format version %d, this program reads %d", v, version)
	}
	if crc32.Checksum(b[:124], castagnoli) != le.Uint32(b[124:]) {
		return bad("the header does not match its checksum")
	}
	vocab, count, total := le.Uint32(b[16:]), le.Uint64(b[24:]), le.Uint64(b[72:])
	if vocab < 1 || vocab > math.MaxInt32 {
		return bad("vocabulary of %d tokens", vocab)
	}
	h := header{
		width: widthFor(int(vocab)), vocabSize: int(vocab), crc: le.Uint32(b[20:]), fingerprint: [32]byte(b[32:64]),
		index: le.Uint32(b[64:]), shards: le.Uint32(b[68:]),
	}
	if w := le.Uint32(b[12:]); w != uint32(h.width) {
		return bad("tokens of %d bytes, a vocabulary of %d has %d", w, vocab, h.width)
	}
	if size := fileSize - headerSize; size < 0 || size%int64(h.width) != 0 || uint64(size)/uint64(h.width) != count {
		return bad("%d bytes of tokens, the header says %d tokens of %d bytes", size, count, h.width)
	}
	if h.index >= h.shards {
		return bad("shard %d of %d", h.index, h.shards)
	}
	if total < count || total > math.MaxInt64 {
		return bad("%d tokens in a set of %d", count, total)
	}
	for _, x := range b[80:124] {
		if x != 0 {
			return bad("the unused part of the header is not zero")
		}
	}
	h.count, h.total = int64(count), int64(total)
	return h, nil
}

// OpenOptions say what to check when shards are opened. The zero value checks
// the headers and that the set is complete.
type OpenOptions struct {
	// Checksum reads all tokens once and compares their checksums.
	Checksum bool
	// VocabSize, if not 0, must be that of the set.
	VocabSize int
	// Fingerprint, if not zero, must be that of the set.
	Fingerprint [32]byte
}

// ErrTokenizer marks a set written with another tokenizer than the one asked
// for.
var ErrTokenizer = errors.New("tokens of another tokenizer")

// Shards are the Tokens of a set on disk, mapped into memory. The files must
// not shrink while open; a ShardWriter never touches a file that has its name.
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

// OpenShards opens the set name in folder dir. A file that is not a whole shard
// of this set is ErrCorrupt, one that is absent fs.ErrNotExist, and a set of
// another tokenizer ErrTokenizer.
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
func (s *Shards) add(path string, index int, opts OpenOptions) error {
	b, unmap, err := mmap.Open(path)
	if err != nil {
		return err
	}
	h, err := parseHeader(b, int64(len(b)))
	if err == nil {
		err = s.check(h, index, b[headerSize:], opts)
	}
	if err != nil {
		return errors.Join(err, unmap())
	}
	s.shards = append(s.shards, shard{s.total, b[headerSize:], unmap})
	s.total += h.count
	return nil
}

// check compares a header with the first of the set and with what is wanted.
func (s *Shards) check(h header, index int, tokens []byte, opts OpenOptions) error {
	if index == 0 {
		s.first = h
	}
	f := s.first
	if h.index != uint32(index) || h.shards != f.shards || h.total != f.total ||
		h.vocabSize != f.vocabSize || h.fingerprint != f.fingerprint {
		return fmt.Errorf("%w: it belongs to another set of shards: write the set anew", ErrCorrupt)
	}
	if opts.VocabSize != 0 && opts.VocabSize != h.vocabSize {
		return fmt.Errorf("%w: vocabulary of %d, wanted %d: encode the text anew", ErrTokenizer, h.vocabSize, opts.VocabSize)
	}
	if opts.Fingerprint != ([32]byte{}) && opts.Fingerprint != h.fingerprint {
		return fmt.Errorf("%w: fingerprint %x, wanted %x: encode the text anew", ErrTokenizer, h.fingerprint[:4], opts.Fingerprint[:4])
	}
	if opts.Checksum && crc32.Checksum(tokens, castagnoli) != h.crc {
		return fmt.Errorf("%w: the tokens do not match their checksum: write the set anew", ErrCorrupt)
	}
	return nil
}

// Len returns the number of tokens of all shards.
func (s *Shards) Len() int64 { return s.total }

// VocabSize returns the vocabulary size of the tokenizer: all ids are below it.
func (s *Shards) VocabSize() int { return s.first.vocabSize }

// Fingerprint returns the fingerprint of the tokenizer; zero: not known.
func (s *Shards) Fingerprint() [32]byte { return s.first.fingerprint }

// Read fills dst with the tokens from offset on, across shards. An id outside
// the vocabulary is ErrCorrupt, with its position.
func (s *Shards) Read(dst []int32, offset int64) error {
	if err := checkRange(len(dst), offset, s.total); err != nil {
		return err
	}
	i := sort.Search(len(s.shards), func(i int) bool { return s.shards[i].start > offset }) - 1
	width, vocab := s.first.width, uint32(s.first.vocabSize)
	for ; len(dst) > 0; i++ {
		at := offset - s.shards[i].start
		b := s.shards[i].data[at*int64(width):]
		n := min(len(dst), len(b)/width)
		for j := range dst[:n] {
			var id uint32
			if width == 2 {
				id = uint32(binary.LittleEndian.Uint16(b[2*j:]))
			} else {
				id = binary.LittleEndian.Uint32(b[4*j:])
			}
			if id >= vocab {
				return fmt.Errorf("data: %w: token %d at position %d of %s is outside the vocabulary of %d: write the set anew",
					ErrCorrupt, id, offset+int64(j), s.name, vocab)
			}
			dst[j] = int32(id)
		}
		dst, offset = dst[n:], offset+int64(n)
	}
	return nil
}

// Close unmaps the files. No Read may be running; later ones find no tokens.
func (s *Shards) Close() error {
	var err error
	for _, sh := range s.shards {
		err = errors.Join(err, sh.unmap())
	}
	s.shards, s.total = nil, 0
	return err
}
