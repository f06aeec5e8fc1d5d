package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/idfile"
)

// DefaultShardTokens is the default number of tokens in a full shard: 256 MiB of
// 2-byte tokens.
const DefaultShardTokens = 128 << 20

// ShardOptions describe a set of shards to write.
type ShardOptions struct {
	// VocabSize is the number of tokens of the tokenizer: 1 to 2^31-1.
	VocabSize int
	// Fingerprint identifies the tokenizer, so that its tokens are not used with
	// another one. Zero means unknown.
	Fingerprint [32]byte
	// ShardTokens is the largest number of tokens in a file; 0 means
	// DefaultShardTokens.
	ShardTokens int64
}

// Validate returns an error for the first invalid option.
func (o ShardOptions) Validate() error {
	if err := o.vocab().Validate(); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if o.ShardTokens < 0 {
		return fmt.Errorf("data: %d tokens per shard: give 0 for the default or a positive number", o.ShardTokens)
	}
	return nil
}

func (o ShardOptions) vocab() idfile.Vocab {
	return idfile.Vocab{Size: o.VocabSize, Fingerprint: o.Fingerprint}
}

// ShardWriter writes one set of token shards (see the package comment). It needs
// one small buffer for text of any length. Files get their final names in Close,
// so a set is either complete or fails to open.
type ShardWriter struct {
	dir, name string
	opts      ShardOptions
	width     int
	shards    []newShard // tokens go to the last one, unless it is full
	total     int64
	err       error // first error; or errClosed
}

// newShard is a shard under way.
type newShard struct {
	*idfile.Writer
	count int64
}

var errClosed = errors.New("data: shard writer is closed")

// CreateShards starts the set name in folder dir, creating dir if necessary. Close
// completes the set and replaces an older one of that name; Abort drops it. Only
// one writer at a time may write a set; the files of an interrupted writer are
// removed.
func CreateShards(dir, name string, opts ShardOptions) (*ShardWriter, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if err := idfile.Prepare(dir, name, name+"-[0-9]*"); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if opts.ShardTokens == 0 {
		opts.ShardTokens = DefaultShardTokens
	}
	return &ShardWriter{dir: dir, name: name, opts: opts, width: idfile.Width(opts.vocab())}, nil
}

// Len returns the number of tokens written so far.
func (w *ShardWriter) Len() int64 { return w.total }

// Write appends ids. An id outside the vocabulary is an error that names its
// position. After an error, later calls return it again.
func (w *ShardWriter) Write(ids []int32) error {
	if w.err != nil {
		return w.err
	}
	if i := idfile.Outside(ids, w.opts.VocabSize); i >= 0 {
		w.err = fmt.Errorf("data: token %d at position %d of %s is outside the vocabulary of %d",
			ids[i], w.total+int64(i), w.name, w.opts.VocabSize)
		return w.err
	}
	for len(ids) > 0 && w.err == nil {
		ids = ids[w.put(ids):]
	}
	if w.err != nil {
		w.err = fmt.Errorf("data: write shard %d of %s: %w", w.total/w.opts.ShardTokens, w.name, w.err)
	}
	return w.err
}

// put writes as many of ids as fit in the current shard, and returns their number.
// An error goes to w.err.
func (w *ShardWriter) put(ids []int32) int {
	if n := len(w.shards); n == 0 || w.shards[n-1].count == w.opts.ShardTokens {
		var f *idfile.Writer
		if f, w.err = idfile.Create(shardPath(w.dir, w.name, n), w.width); w.err != nil {
			return 0
		}
		w.shards = append(w.shards, newShard{Writer: f})
	}
	sh := &w.shards[len(w.shards)-1]
	n := int(min(int64(len(ids)), w.opts.ShardTokens-sh.count))
	if w.err = sh.Add(ids[:n]); w.err != nil {
		return 0
	}
	if sh.count += int64(n); sh.count == w.opts.ShardTokens {
		w.err = sh.Close()
	}
	w.total += int64(n)
	return n
}

// Close writes the headers, which have the totals, and renames the files to their
// final names. On an error, or if no token was written (ErrNoText), it drops the
// set like Abort.
func (w *ShardWriter) Close() error {
	defer w.Abort()
	if w.err != nil {
		return w.err
	}
	if w.total == 0 {
		return fmt.Errorf("data: %w: shard set %s has no token", ErrNoText, w.name)
	}
	for i, sh := range w.shards {
		if err := w.complete(i, sh); err != nil {
			return fmt.Errorf("data: complete shard %d of %s: %w", i, w.name, err)
		}
	}
	// A set without shard 0 does not open. So remove the old shard 0 first and
	// name the new one last: after a crash in between, no mixture of both opens.
	if err := atomicfile.Remove(shardPath(w.dir, w.name, 0)); err != nil {
		return fmt.Errorf("data: replace shard set %s: %w", w.name, err)
	}
	for _, sh := range slices.Backward(w.shards) {
		if err := sh.Commit(); err != nil {
			return fmt.Errorf("data: replace shard set %s: %w", w.name, err)
		}
	}
	return removeShards(w.dir, w.name, len(w.shards)) // the rest of a longer old set
}

// complete gives shard i its header.
func (w *ShardWriter) complete(i int, sh newShard) error {
	if err := sh.Close(); err != nil {
		return err
	}
	return sh.SetHeader(header{
		width: w.width, vocab: w.opts.vocab(), crc: sh.Sum(), count: sh.count,
		index: uint32(i), shards: uint32(len(w.shards)), total: w.total,
	}.encode())
}

// Abort drops the set. After Close it does nothing, so that it can be deferred.
func (w *ShardWriter) Abort() {
	for _, sh := range w.shards {
		sh.Abort()
	}
	if w.err == nil {
		w.err = errClosed
	}
}

func shardPath(dir, name string, index int) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%05d.tokens", name, index))
}

// RemoveShards removes the set name in folder dir.
func RemoveShards(dir, name string) error { return removeShards(dir, name, 0) }

// removeShards removes the shards of a set from index from on, durably.
func removeShards(dir, name string, from int) error {
	for i := from; ; i++ {
		err := disk.Remove(shardPath(dir, name, i))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
			if i > from {
				err = disk.SyncFolder(dir)
			}
			if err == nil {
				return nil
			}
		}
		if err != nil {
			return fmt.Errorf("data: %w", err)
		}
	}
}

// HasShards reports whether there is a set name in folder dir.
func HasShards(dir, name string) bool {
	_, err := os.Stat(shardPath(dir, name, 0))
	return err == nil
}
