package train

import "testing"

// TestPick: a part of a set is spread over it, and is not one class of a set whose
// classes alternate; all of it is all of it.
func TestPick(t *testing.T) {
	t.Parallel()
	const n, all, classes = 100, 1000, 10
	var of [classes]int
	last := -1
	for i := range n {
		at := pick(i, n, all)
		if at <= last || at/(all/n) != i {
			t.Fatalf("sample %d of %d is %d of %d, after %d", i, n, at, all, last)
		}
		last = at
		of[at%classes]++
	}
	for class, count := range of {
		if count < 2 || count > 25 {
			t.Errorf("%d of %d samples are of class %d: %v", count, n, class, of)
		}
	}
	for i := range all {
		if at := pick(i, all, all); at != i {
			t.Errorf("sample %d of all is %d", i, at)
		}
	}
}
