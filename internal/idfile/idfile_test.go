package idfile

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var kind = Kind{Magic: "TESTKIND", Version: 3, End: 20}

func header(width int) []byte {
	return kind.Header(width, func(b []byte) { b[19] = 7 })
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// TestHeaderBytes: the documented layout, assembled by hand.
func TestHeaderBytes(t *testing.T) {
	t.Parallel()
	want := slices.Concat([]byte("TESTKIND"), []byte{3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 7}, make([]byte, 104))
	want = binary.LittleEndian.AppendUint32(want, crc(want))
	if got := header(4); !slices.Equal(got, want) {
		t.Errorf("header\n% x\nwant\n% x", got, want)
	}
	if err := kind.Check(append(header(2), "ids"...)); err != nil {
		t.Error(err)
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(b []byte) []byte
		want   string
	}{
		{func(b []byte) []byte { return nil }, "0 bytes, the header alone has 128"},
		{func(b []byte) []byte { return b[:127] }, "127 bytes, the header alone has 128"},
		{func(b []byte) []byte { b[7]++; Seal(b); return b }, `it starts with "TESTKINE", not "TESTKIND"`},
		{func(b []byte) []byte { b[11] = 1; Seal(b); return b }, "format version 16777219, this program reads 3"},
		{func(b []byte) []byte { b[12] ^= 1; return b }, "does not match its checksum"},
		{func(b []byte) []byte { b[127] ^= 128; return b }, "does not match its checksum"},
		{func(b []byte) []byte { b[20] = 1; Seal(b); return b }, "unused part"},
		{func(b []byte) []byte { b[123] = 1; Seal(b); return b }, "unused part"},
	} {
		if err := kind.Check(c.change(header(2))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestVocab(t *testing.T) {
	t.Parallel()
	for size, good := range map[int64]bool{0: false, -1: false, 1: true, 1<<31 - 1: true, 1 << 31: false} {
		if err := (Vocab{Size: int(size)}).Validate(); (err == nil) != good {
			t.Errorf("%d tokens: %v", size, err)
		}
	}
	has := Vocab{50, [32]byte{1}}
	for _, c := range []struct {
		want Vocab
		text string
	}{
		{Vocab{}, ""}, {has, ""}, {Vocab{Size: 50}, ""}, {Vocab{Fingerprint: [32]byte{1}}, ""},
		{Vocab{Size: 51}, "vocabulary of 50, wanted 51: encode the text anew"},
		{Vocab{0, [32]byte{0, 2}}, "fingerprint 01000000, wanted 00020000: encode the text anew"},
	} {
		if err := has.Match(c.want); (err == nil) != (c.text == "") || err != nil && err.Error() != c.text {
			t.Errorf("wanted %v: error %v, want %q", c.want, err, c.text)
		}
	}
	for _, c := range []struct{ a, b, width int }{{1, 1, 2}, {1 << 16, 1 << 16, 2}, {1<<16 + 1, 1, 4}, {1, 1<<16 + 1, 4}} {
		if got := Width(Vocab{Size: c.a}, Vocab{Size: c.b}); got != c.width {
			t.Errorf("vocabularies of %d and %d: width %d", c.a, c.b, got)
		}
	}
}

// FuzzDecode: ids are the numbers in the bytes, and the first outside is found.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 3, 0}, false, 3)
	f.Add([]byte{0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff}, true, 1<<31-1)
	f.Fuzz(func(t *testing.T, b []byte, wide bool, size int) {
		width := 2
		if wide {
			width = 4
		}
		size = max(size&(1<<31-1), 1)
		ids := make([]int32, len(b)/width)
		first := Decode(ids, b, width, size)
		want := -1
		for i := range ids {
			var id uint64
			for k := range width {
				id |= uint64(b[i*width+k]) << (8 * k)
			}
			if uint64(uint32(ids[i])) != id {
				t.Fatalf("id %d is %d, want %d", i, uint32(ids[i]), id)
			}
			if id >= uint64(size) && want < 0 {
				want = i
			}
		}
		if first != want || Outside(ids, size) != want {
			t.Errorf("the first outside is %d, want %d", first, want)
		}
	})
}

// TestWriter: ids in pieces of all lengths, across the buffer, and bytes behind them
// come back, with their checksum; the file has its name only after Commit.
func TestWriter(t *testing.T) {
	t.Parallel()
	for _, width := range []int{2, 4} {
		dir := filepath.Join(t.TempDir(), "new")
		check(t, Prepare(dir, "a", "a"))
		path := filepath.Join(dir, "a")
		w, err := Create(path, width)
		check(t, err)
		var ids []int32
		for n := 0; n < 3*bufferBytes; n = 3*n + 1 {
			piece := make([]int32, n)
			for i := range piece {
				piece[i] = int32((len(ids) + i) * 7919 % 60000)
			}
			ids = append(ids, piece...)
			check(t, w.Add(piece))
		}
		check(t, w.AddBytes([]byte("behind")))
		check(t, w.Close())
		check(t, w.Close())
		head := header(width)
		check(t, w.SetHeader(head))
		if _, err := os.Stat(path); err == nil {
			t.Error("it has its name before Commit")
		}
		check(t, w.Commit())
		w.Abort()
		b, err := os.ReadFile(path)
		check(t, err)
		body := b[HeaderSize:]
		if !slices.Equal(b[:HeaderSize], head) || crc(body) != w.Sum() || Sum(body) != w.Sum() {
			t.Errorf("header % x, checksum %x, want %x", b[:HeaderSize], w.Sum(), crc(body))
		}
		got := make([]int32, len(ids))
		if Decode(got, body, width, 60000) >= 0 || !slices.Equal(got, ids) || string(body[len(ids)*width:]) != "behind" {
			t.Errorf("width %d: other ids, or %q behind them", width, body[len(ids)*width:])
		}
	}
}

// TestInterrupted: what a killed writer left goes when the set is written anew, and
// an aborted one leaves nothing.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a-1", "b-1"} {
		w, err := Create(filepath.Join(dir, name), 2)
		check(t, err)
		check(t, w.Close())
	}
	check(t, Prepare(dir, "a", "a-[0-9]"))
	w, err := Create(filepath.Join(dir, "a-2"), 2)
	check(t, err)
	check(t, w.Add([]int32{1}))
	w.Abort()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), ".b-1.") {
		t.Errorf("files %v, error %v", left, err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"", ".a", "a/b", `a\b`, "a*", "a?", "[a", "../a"} {
		if err := Prepare(dir, name, "a"); err == nil || !strings.Contains(err.Error(), "plain file name") {
			t.Errorf("%q: error %v", name, err)
		}
	}
	check(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o666))
	if err := Prepare(filepath.Join(dir, "file"), "a", "a"); err == nil {
		t.Error("a file as the folder is no error")
	}
	if _, err := Create(filepath.Join(dir, "absent", "a"), 2); err == nil {
		t.Error("an absent folder is no error")
	}
}
