package data

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestHoldOut: the share is met as nearly as documents allow, and exactly by blocks, which are not all at the end.
func TestHoldOut(t *testing.T) {
	t.Parallel()
	even := func(n, size int64) (starts []int64) {
		for i := range n {
			starts = append(starts, i*size)
		}
		return starts
	}
	for _, c := range []struct {
		name         string
		starts       []int64
		total, least int64
		share        float64
		want         int64 // held out
		documents    int   // 0: blocks
	}{
		{"a hundred documents", even(100, 50), 5000, 9, 0.1, 500, 10},
		{"twelve", even(12, 50), 600, 9, 0.1, 50, 1},
		{"one", []int64{0}, 5000, 9, 0.1, 500, 0},
		{"one long and short ones", append(even(12, 5), 60), 100_000, 9, 0.1, 10_000, 0},
		{"a short text: one window", []int64{0}, 100, 33, 0.1, 33, 0},
		{"too short a text", []int64{0}, 60, 33, 0.1, 6, 0},
		{"of a few tokens", []int64{0}, 5, 33, 0.1, 0, 0},
		{"nothing", even(100, 50), 5000, 9, 0, 0, 0},
	} {
		h, err := HoldOut(c.starts, c.total, c.share, c.least)
		if err != nil {
			t.Fatal(err)
		}
		var n, at int64
		for _, r := range h.Ranges {
			if r.From < at || r.To <= r.From || r.To > c.total {
				t.Errorf("%s: ranges %v of %d tokens", c.name, h.Ranges, c.total)
			}
			n, at = n+r.To-r.From, r.To
		}
		if n != c.want || len(h.Documents) != c.documents {
			t.Errorf("%s: %d tokens in %d documents, want %d in %d", c.name, n, len(h.Documents), c.want, c.documents)
		}
		if c.documents == 0 && n > 0 && at == c.total {
			t.Errorf("%s: the end is held out: %v", c.name, h.Ranges)
		}
	}
	if _, err := HoldOut(nil, 10, 1, 1); err == nil {
		t.Error("all of a text can be held out")
	}
}

// TestCut: what is held out and the rest are the whole text.
func TestCut(t *testing.T) {
	t.Parallel()
	ids := make([]int32, 50_000)
	for i := range ids {
		ids[i] = int32(i)
	}
	dir := t.TempDir()
	var writers [2]*ShardWriter
	for i, name := range []string{"rest", "held"} {
		w, err := CreateShards(dir, name, ShardOptions{VocabSize: len(ids)})
		if err != nil {
			t.Fatal(err)
		}
		writers[i] = w
	}
	tokens, err := FromIDs(ids, len(ids))
	if err != nil {
		t.Fatal(err)
	}
	if err := Cut(tokens, []Range{{10, 30_000}, {40_000, 40_001}}, writers[0], writers[1]); err != nil {
		t.Fatal(err)
	}
	want := [2][]int32{slices.Concat(ids[:10], ids[30_000:40_000], ids[40_001:]), slices.Concat(ids[10:30_000], ids[40_000:40_001])}
	for i, name := range []string{"rest", "held"} {
		if err := writers[i].Close(); err != nil {
			t.Fatal(err)
		}
		s, err := OpenShards(dir, name, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]int32, s.Len())
		if err := s.Read(got, 0); err != nil || !slices.Equal(got, want[i]) {
			t.Errorf("%s: %d tokens, want %d, error %v", name, len(got), len(want[i]), err)
		}
		s.Close()
		if err := RemoveShards(dir, name); err != nil || HasShards(dir, name) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

// TestLinks: links to files are followed, each file is read once, and links to folders, loops and nothing are counted.
func TestLinks(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"far.txt": "far away"})
	dir := tree(t, map[string]string{"a.txt": "here", "sub/b.txt": "there"})
	for name, to := range map[string]string{"far.txt": filepath.Join(outside, "far.txt"), "far2.txt": filepath.Join(outside, "far.txt"), "sub/loop": dir, "self": "self", "gone": "nowhere", "folder": outside} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	src, err := Open(dir, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, l := range src.LeftOut {
		counts[l.What+" "+l.Reason] = l.Count
	}
	if src.Bytes() != 4+8+5 || counts["files "+reasonAgain] != 1 || counts["links to folders"] != 2 || counts["files linked to nothing"] != 2 {
		t.Errorf("%d bytes, left out %v", src.Bytes(), src.LeftOut)
	}
}
