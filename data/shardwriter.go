package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// DefaultShardTokens is the number of tokens of a full shard unless told
// otherwise: 256 MiB of 2-byte tokens.
const DefaultShardTokens = 128 << 20

// ShardOptions describe a set of shards to write.
type ShardOptions struct {
	// VocabSize is the number of tokens of the tokenizer: 1 to 2^31-1.
	VocabSize int
	// Fingerprint tells the tokenizer apart from others, so that tokens of one
	// are not trained on with another. Zero: not known.
	Fingerprint [32]byte
	// ShardTokens is the most tokens of one file; 0 means DefaultShardTokens.
	ShardTokens int64
}

// Validate reports the first option that cannot be meant.
func (o ShardOptions) Validate() error {
	if o.VocabSize < 1 || int64(o.VocabSize) > math.MaxInt32 {
		return fmt.Errorf("data: vocabulary of %d tokens: it must have 1 to %d", o.VocabSize, math.MaxInt32)
	}
	if o.ShardTokens < 0 {
		return fmt.Errorf("data: %d tokens per shard: give 0 for the default or a positive number", o.ShardTokens)
	}
	return nil
}

// ShardWriter writes one set of token shards (see the package comment). It
// holds one small buffer, whatever the length of the text. Nothing bears its
// final name before Close, and a set is either whole or fails to open.
type ShardWriter struct {
	dir, name string
	opts      ShardOptions
	width     int
	f         *os.File // temporary file of the current shard
	header    header   // of the current shard
	done      []header // of the finished shards
	total     int64
	buf       []byte
	err       error // first error; or errClosed
}

var errClosed = errors.New("data: shard writer is closed")

// CreateShards starts the set name in folder dir, which is made if absent.
// Close completes it and replaces an older set of that name; Abort drops it.
// A set has one writer at a time: what an interrupted one left is removed.
func CreateShards(dir, name string, opts ShardOptions) (*ShardWriter, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, `/\*?[`) {
		return nil, fmt.Errorf("data: shard set name %q: give a plain file name such as \"train\"", name)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("data: create shards: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf(".%s-[0-9]*.tmp", name)))
	if err != nil {
		return nil, fmt.Errorf("data: shard set name %q: %w", name, err)
	}
	for _, f := range left {
		if err := os.Remove(f); err != nil {
			return nil, fmt.Errorf("data: remove what an interrupted writer left: %w", err)
		}
	}
	if opts.ShardTokens == 0 {
		opts.ShardTokens = DefaultShardTokens
	}
	return &ShardWriter{dir: dir, name: name, opts: opts, width: widthFor(opts.VocabSize), buf: make([]byte, 0, 64<<10)}, nil
}

func widthFor(vocabSize int) int {
	if vocabSize <= 1<<16 {
		return 2
	}
	return 4
}

// Len returns the number of tokens written so far.
func (w *ShardWriter) Len() int64 { return w.total }

// Write appends ids. An id outside the vocabulary is an error that names its
// position. After an error the writer only repeats it.
func (w *ShardWriter) Write(ids []int32) error {
	if w.err != nil {
		return w.err
	}
	for i, id := range ids {
		if id < 0 || int64(id) >= int64(w.opts.VocabSize) {
			w.err = fmt.Errorf("data: token %d at position %d of %s is outside the vocabulary of %d",
				id, w.total+int64(i), w.name, w.opts.VocabSize)
			return w.err
		}
	}
	for len(ids) > 0 && w.err == nil {
		if w.f == nil {
			if w.f, w.err = os.CreateTemp(w.dir, w.tempName(len(w.done), "*")); w.err != nil {
				break
			}
			w.header = header{temp: w.f.Name()}
			_, w.err = w.f.Write(make([]byte, headerSize))
		}
		n := min(int64(len(ids)), w.opts.ShardTokens-w.header.count, int64(cap(w.buf)/w.width))
		w.put(ids[:n])
		ids = ids[n:]
		if w.err == nil && w.header.count == w.opts.ShardTokens {
			w.finishShard()
		}
	}
	if w.err != nil {
		w.err = fmt.Errorf("data: write shard %d of %s: %w", len(w.done), w.name, w.err)
	}
	return w.err
}

// put writes ids, which fit in the buffer, to the current shard.
func (w *ShardWriter) put(ids []int32) {
	if w.err != nil {
		return
	}
	b := w.buf[:0]
	for _, id := range ids {
		if w.width == 2 {
			b = binary.LittleEndian.AppendUint16(b, uint16(id))
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
	}
	w.header.crc = crc32.Update(w.header.crc, castagnoli, b)
	w.header.count += int64(len(ids))
	w.total += int64(len(ids))
	_, w.err = w.f.Write(b)
}

func (w *ShardWriter) finishShard() {
	w.err = w.f.Close()
	w.f = nil
	w.done = append(w.done, w.header)
}

func (w *ShardWriter) tempName(index int, unique string) string {
	return fmt.Sprintf(".%s-%05d.%s.tmp", w.name, index, unique)
}

// Close writes the headers, which need the totals, and gives the shards their
// names. On an error, and if no token was written (ErrNoText), the set is
// dropped as by Abort.
func (w *ShardWriter) Close() error {
	defer w.Abort()
	if w.err == nil && w.f != nil {
		w.finishShard()
	}
	if w.err != nil {
		return w.err
	}
	if w.total == 0 {
		return fmt.Errorf("data: %w: shard set %s has no token", ErrNoText, w.name)
	}
	for i := range w.done {
		if err := w.completeShard(i); err != nil {
			return fmt.Errorf("data: complete shard %d of %s: %w", i, w.name, err)
		}
	}
	// Without its shard 0 a set does not open: the old one loses it first and
	// the new one gets it last, so that a crash in between leaves no mixture.
	if err := os.Remove(shardPath(w.dir, w.name, 0)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data: replace shard set %s: %w", w.name, err)
	}
	for i := len(w.done) - 1; i >= 0; i-- {
		if err := os.Rename(w.done[i].temp, shardPath(w.dir, w.name, i)); err != nil {
			return fmt.Errorf("data: replace shard set %s: %w", w.name, err)
		}
	}
	for i := len(w.done); os.Remove(shardPath(w.dir, w.name, i)) == nil; i++ {
		// What is left of a longer old set goes.
	}
	w.done = nil
	return nil
}

// completeShard puts the header in front of temporary file i.
func (w *ShardWriter) completeShard(i int) error {
	h := w.done[i]
	h.width, h.vocabSize, h.fingerprint = w.width, w.opts.VocabSize, w.opts.Fingerprint
	h.index, h.shards, h.total = uint32(i), uint32(len(w.done)), w.total
	f, err := os.OpenFile(h.temp, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(h.encode(), 0)
	return errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
}

// Abort removes the temporary files. After Close it does nothing, so that it
// can be deferred.
func (w *ShardWriter) Abort() {
	if w.f != nil {
		w.f.Close()
		os.Remove(w.f.Name())
		w.f = nil
	}
	for _, h := range w.done {
		os.Remove(h.temp)
	}
	w.done = nil
	if w.err == nil {
		w.err = errClosed
	}
}

func shardPath(dir, name string, index int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%05d.tokens", name, index))
}
