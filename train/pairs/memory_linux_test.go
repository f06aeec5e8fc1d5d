package pairs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// prepares is set in a process that prepares a run and tells what memory that took.
const prepares = "PAIRS_PREPARES"

// TestMain prepares the pairs of a file instead of testing, if asked to.
func TestMain(m *testing.M) {
	val, ok := os.LookupEnv(prepares)
	if !ok {
		os.Exit(m.Run())
	}
	c := Default()
	c.Pairs.Source, c.Pairs.ValSource, c.Pairs.Tokenizer = os.Args[1], val, tokenizer.KindChar
	t := New(c)
	before := testkit.Resident()
	err := t.Prepare(context.Background(), os.Args[2], func(string, int64, int64) {})
	if err == nil {
		_, err = t.Batches(t.Settings.Pairs, t.Settings.Loop)
	}
	if err == nil {
		_, _, err = t.Evaluated(t.Settings.Pairs, true)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(testkit.Resident()-before, train.HostOf(t).Lists)
}

// manyPairs writes so many different short pairs into a file.
func manyPairs(t *testing.T, n, from int) string {
	name := filepath.Join(t.TempDir(), "pairs.tsv")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := from; i < from+n; i++ {
		fmt.Fprintf(w, "a%d\tb%d\n", i, 7*i)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPreparationIsCounted: pairs are made a set, and the set batches, in what is counted for it. The set itself is a
// mapped file, of which the kernel drops pages; it counts in the resident set.
func TestPreparationIsCounted(t *testing.T) {
	t.Parallel()
	if testkit.Race {
		t.Skip("the race detector takes memory of its own")
	}
	n := 300_000
	if testing.Short() {
		n = 100_000
	}
	const mapped = 64 // bytes of a pair in the files that are mapped
	for _, held := range []string{"", manyPairs(t, n, n/2)} {
		real, promised := testkit.Memory(t, prepares+"="+held, manyPairs(t, n, 0), t.TempDir())
		t.Logf("%d bytes a pair, %d counted", real/int64(n), promised/int64(n))
		if real > promised+int64(n)*mapped+8<<20 {
			t.Errorf("%d pairs took %d bytes, and %d are counted", n, real, promised)
		}
	}
}

// TestPairsThatDoNotFit: more pairs than fit into memory are refused while they are read.
func TestPairsThatDoNotFit(t *testing.T) {
	t.Parallel()
	name := manyPairs(t, 20_000, 0)
	for _, tokenizers := range []bool{true, false} {
		c := Default()
		c.Pairs.Source, c.Pairs.Tokenizer = name, tokenizer.KindChar
		s := Sets{}
		if !tokenizers {
			if err := s.makeTokenizers(t.Context(), c.Pairs, c.Engine, func(string, int64, int64) {}); err != nil {
				t.Fatal(err)
			}
		}
		s.Fits = func(bytes int64) bool { return bytes <= 5000*pairs.PairBytes }
		err := error(nil)
		if tokenizers {
			err = s.makeTokenizers(t.Context(), c.Pairs, c.Engine, func(string, int64, int64) {})
		} else {
			err = s.Encode(t.Context(), t.TempDir(), c.Pairs, Encoding{Source: s.Source, Target: s.Target}, func(string, int64, int64) {})
		}
		if !errors.Is(err, pairs.ErrMemory) || !strings.Contains(err.Error(), "after 8192") {
			t.Errorf("tokenizers %v: %v", tokenizers, err)
		}
	}
}
