package data

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/idfile"
	"github.com/bdia-go/bdia/internal/testkit"
)

// writeShards writes ids in pieces of uneven length and fails the test on error.
func writeShards(t testing.TB, dir string, ids []int32, opts ShardOptions) {
	t.Helper()
	w, err := CreateShards(dir, "train", opts)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, step := 0, 1; i < len(ids); step = step*3%101 + 1 {
		n := min(step, len(ids)-i)
		if err := w.Write(ids[i : i+n]); err != nil {
			t.Fatal(err)
		}
		i += n
	}
	if w.Len() != int64(len(ids)) {
		t.Fatalf("writer counts %d of %d tokens", w.Len(), len(ids))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func ramp(n, vocab int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(uint64(i) * 2654435761 % uint64(vocab))
	}
	return ids
}

func openShards(t testing.TB, dir string, opts OpenOptions) *Shards {
	t.Helper()
	s, err := OpenShards(dir, "train", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestShardsRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		n, vocab, shard int
		files, width    int
	}{
		{"one shard", 1000, 256, 0, 1, 2},
		{"largest 16-bit vocabulary", 100_000, 1 << 16, 0, 1, 2},
		{"smallest 32-bit vocabulary", 100_000, 1<<16 + 1, 0, 1, 4},
		{"largest vocabulary", 1000, 1<<31 - 1, 300, 4, 4},
		{"exactly full shards", 300, 70_000, 100, 3, 4},
		{"shards of one token", 7, 5, 1, 7, 2},
		{"last shard short", 1001, 5, 100, 11, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "made", "here")
			ids := ramp(c.n, c.vocab)
			ids[0] = int32(c.vocab - 1)
			finger := [32]byte{1, 2, 31: 3}
			writeShards(t, dir, ids, ShardOptions{VocabSize: c.vocab, Fingerprint: finger, ShardTokens: int64(c.shard)})
			if got := names(t, dir); len(got) != c.files || got[0] != "train-00000.tokens" {
				t.Fatalf("files %q, want %d", got, c.files)
			}
			s := openShards(t, dir, OpenOptions{Checksum: true, VocabSize: c.vocab, Fingerprint: finger})
			if s.Len() != int64(c.n) || s.VocabSize() != c.vocab || s.Fingerprint() != finger || s.first.width != c.width {
				t.Fatalf("opened %d tokens, vocabulary %d, width %d", s.Len(), s.VocabSize(), s.first.width)
			}
			for _, r := range [][2]int{{0, c.n}, {c.n, c.n}, {0, 0}, {c.n - 1, c.n}, {c.n / 3, c.n/3 + c.n/2}} {
				got := make([]int32, r[1]-r[0])
				if err := s.Read(got, int64(r[0])); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, ids[r[0]:r[1]]) {
					t.Errorf("range %v differs", r)
				}
			}
			for _, off := range []int64{-1, int64(c.n), 1<<63 - 1} {
				if err := s.Read(make([]int32, 1), off); err == nil {
					t.Errorf("a read at %d of %d is no error", off, c.n)
				}
			}
		})
	}
}

// The documented layout, assembled by hand.
func TestShardBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeShards(t, dir, []int32{1, 0x203, 299}, ShardOptions{VocabSize: 600, Fingerprint: [32]byte{9}, ShardTokens: 2})
	got, err := os.ReadFile(filepath.Join(dir, "train-00001.tokens"))
	if err != nil {
		t.Fatal(err)
	}
	crc := func(b []byte) []byte {
		return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	}
	tokens := []byte{0x2b, 0x01}
	want := slices.Concat([]byte("BDIATOK\x00"), []byte{1, 0, 0, 0, 2, 0, 0, 0, 0x58, 2, 0, 0}, crc(tokens),
		[]byte{1, 0, 0, 0, 0, 0, 0, 0}, []byte{9}, make([]byte, 31),
		[]byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 44))
	want = slices.Concat(want, crc(want), tokens)
	if !slices.Equal(got, want) {
		t.Errorf("shard bytes\n% x\nwant\n% x", got, want)
	}
}

func TestShardsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "[odd") // which is no pattern
	opts := ShardOptions{VocabSize: 50, ShardTokens: 10}
	writeShards(t, dir, ramp(55, 50), opts)
	before := openShards(t, dir, OpenOptions{})

	w, err := CreateShards(dir, "train", opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(ramp(25, 50)); err != nil {
		t.Fatal(err)
	}
	if s := openShards(t, dir, OpenOptions{Checksum: true}); s.Len() != 55 {
		t.Errorf("an unfinished writer changed the set to %d tokens", s.Len())
	}
	w.Abort()
	if err := w.Write([]int32{1}); err == nil {
		t.Error("write after abort is no error")
	}
	if err := w.Close(); err == nil {
		t.Error("close after abort is no error")
	}
	if got := names(t, dir); len(got) != 6 {
		t.Errorf("after an abort: %q", got)
	}

	// A writer that neither closed nor aborted, as when its process is killed.
	w, err = CreateShards(dir, "train", opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(ramp(25, 50)); err != nil {
		t.Fatal(err)
	}
	writeShards(t, dir, ramp(25, 50), opts)
	w.shards[2].Close()
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("after a shorter set: %q", got)
	}
	if s := openShards(t, dir, OpenOptions{Checksum: true}); s.Len() != 25 {
		t.Errorf("new set has %d tokens", s.Len())
	}
	got := make([]int32, 55)
	if err := before.Read(got, 0); err != nil || !slices.Equal(got, ramp(55, 50)) {
		t.Errorf("a set opened earlier changed (error %v)", err)
	}
}

func TestWriterRejects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		opts ShardOptions
	}{
		{"train", ShardOptions{}}, {"train", ShardOptions{VocabSize: -1}}, {"", ShardOptions{VocabSize: 1}},
		{"a/b", ShardOptions{VocabSize: 1}}, {"tr*", ShardOptions{VocabSize: 1}}, {"../x", ShardOptions{VocabSize: 1}},
		{"train", ShardOptions{VocabSize: 1, ShardTokens: -1}},
	} {
		if _, err := CreateShards(dir, c.name, c.opts); err == nil {
			t.Errorf("%q %+v is no error", c.name, c.opts)
		}
	}
	for _, id := range []int32{-1, 10, 1 << 30} {
		w, err := CreateShards(dir, "train", ShardOptions{VocabSize: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write([]int32{1, 2}); err != nil {
			t.Fatal(err)
		}
		if err := w.Write([]int32{3, id}); err == nil || !strings.Contains(err.Error(), "position 3") {
			t.Errorf("token %d: error %v", id, err)
		}
		if err := w.Close(); err == nil {
			t.Error("close after a failed write is no error")
		}
	}
	w, err := CreateShards(dir, "train", ShardOptions{VocabSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, ErrNoText) {
		t.Errorf("an empty set: error %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

func TestCorruptShards(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	// fix makes the header's checksum right again, so that the field itself is judged.
	fix := func(b []byte) []byte {
		idfile.Seal(b)
		return b
	}
	for name, change := range map[string]func(b []byte) []byte{
		"empty":              func(b []byte) []byte { return nil },
		"half a header":      func(b []byte) []byte { return b[:64] },
		"one token short":    func(b []byte) []byte { return b[:len(b)-2] },
		"half a token short": func(b []byte) []byte { return b[:len(b)-1] },
		"too long":           func(b []byte) []byte { return append(b, 0, 0) },
		"magic":              func(b []byte) []byte { b[0] ^= 1; return fix(b) },
		"version":            func(b []byte) []byte { b[8] = 2; return fix(b) },
		"width":              func(b []byte) []byte { b[12] = 4; return fix(b) },
		"width zero":         func(b []byte) []byte { b[12] = 0; return fix(b) },
		"vocabulary zero":    func(b []byte) []byte { le.PutUint32(b[16:], 0); return fix(b) },
		"vocabulary huge":    func(b []byte) []byte { le.PutUint32(b[16:], 1<<31); return fix(b) },
		"vocabulary other":   func(b []byte) []byte { le.PutUint32(b[16:], 7); return fix(b) },
		"checksum of tokens": func(b []byte) []byte { b[20] ^= 1; return fix(b) },
		"count":              func(b []byte) []byte { b[24]++; return fix(b) },
		"count overflows":    func(b []byte) []byte { b[31] = 0x80; return fix(b) },
		"fingerprint":        func(b []byte) []byte { b[40] ^= 1; return fix(b) },
		"index":              func(b []byte) []byte { b[64] = 0; return fix(b) },
		"index too large":    func(b []byte) []byte { b[64] = 9; return fix(b) },
		"shards":             func(b []byte) []byte { b[68]++; return fix(b) },
		"shards zero":        func(b []byte) []byte { b[68] = 0; return fix(b) },
		"total":              func(b []byte) []byte { b[72]++; return fix(b) },
		"total negative":     func(b []byte) []byte { b[79] = 0x80; return fix(b) },
		"unused part":        func(b []byte) []byte { b[100] = 1; return fix(b) },
		"header checksum":    func(b []byte) []byte { b[124] ^= 1; return b },
		"token bit":          func(b []byte) []byte { b[130] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeShards(t, dir, ramp(25, 50), ShardOptions{VocabSize: 50, ShardTokens: 10})
			path := filepath.Join(dir, "train-00001.tokens")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(b), 0o644); err != nil {
				t.Fatal(err)
			}
			if s, err := OpenShards(dir, "train", OpenOptions{Checksum: true}); !errors.Is(err, ErrCorrupt) {
				t.Errorf("opened %v, error %v", s, err)
			} else if !strings.Contains(err.Error(), "train-00001.tokens") {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
}

func TestMissingShard(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		dir := t.TempDir()
		writeShards(t, dir, ramp(25, 50), ShardOptions{VocabSize: 50, ShardTokens: 10})
		if err := os.Remove(shardPath(dir, "train", i)); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenShards(dir, "train", OpenOptions{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("shard %d of 3 missing: error %v", i, err)
		}
	}
}

func TestShardsOfAnotherTokenizer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeShards(t, dir, ramp(25, 50), ShardOptions{VocabSize: 50, Fingerprint: [32]byte{1}})
	for _, o := range []OpenOptions{{VocabSize: 51}, {Fingerprint: [32]byte{2}}} {
		if _, err := OpenShards(dir, "train", o); !errors.Is(err, ErrTokenizer) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

// A token outside the vocabulary is found when it is read, in a later shard too.
func TestReadRejectsForeignToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeShards(t, dir, ramp(25, 50), ShardOptions{VocabSize: 50, ShardTokens: 10})
	f, err := os.OpenFile(shardPath(dir, "train", 1), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{50, 0}, idfile.HeaderSize+2*4); err != nil {
		t.Fatal(err)
	}
	s := openShards(t, dir, OpenOptions{})
	if err := s.Read(make([]int32, 14), 0); err != nil {
		t.Error(err)
	}
	err = s.Read(make([]int32, 10), 8)
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "token 50 at position 14") {
		t.Errorf("error %v", err)
	}
}

func FuzzParseHeader(f *testing.F) {
	h := header{width: 2, vocab: idfile.Vocab{Size: 50}, count: 10, shards: 1, total: 10}
	f.Add(h.encode(), int64(idfile.HeaderSize+20))
	h = header{width: 4, vocab: idfile.Vocab{Size: 1 << 20, Fingerprint: [32]byte{1}}, count: 3, index: 1, shards: 2, total: 99}
	f.Add(h.encode(), int64(idfile.HeaderSize+12))
	f.Add([]byte(kind.Magic), int64(8))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		if len(b) >= idfile.HeaderSize {
			idfile.Seal(b)
		}
		h, err := parseHeader(b, size)
		testkit.Refused(t, err)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
			return
		}
		if h.count*int64(h.width)+idfile.HeaderSize != size || h.vocab.Size < 1 {
			t.Errorf("accepted %+v for %d bytes", h, size)
		}
		if again := h.encode(); !slices.Equal(again, b[:idfile.HeaderSize]) {
			t.Errorf("header %+v encodes to other bytes", h)
		}
	})
}

// FuzzOpenShards opens arbitrary files and reads all that they claim to hold.
func FuzzOpenShards(f *testing.F) {
	h := header{width: 2, vocab: idfile.Vocab{Size: 3}, count: 2, shards: 1, total: 2, crc: 1}
	f.Add(append(h.encode(), 1, 0, 2, 0))
	f.Add(append(h.encode(), 1, 0, 3, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(shardPath(dir, "train", 0), b, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := OpenShards(dir, "train", OpenOptions{})
		testkit.Refused(t, err)
		if err != nil {
			return
		}
		defer s.Close()
		ids := make([]int32, s.Len())
		if s.Read(ids, 0) == nil {
			for _, id := range ids {
				if id < 0 || int(id) >= s.VocabSize() {
					t.Fatalf("read token %d of %d", id, s.VocabSize())
				}
			}
		}
	})
}
