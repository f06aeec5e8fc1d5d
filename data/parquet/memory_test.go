package parquet

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/bdia-go/bdia/internal/testkit"
)

// TestMemory: many large rows, one after the other, take the memory of a few of them.
func TestMemory(t *testing.T) {
	const rows, size = 24, 2 << 20
	type row struct {
		Content string `parquet:"content"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.SkipPageBounds("content"))
	for i := range rows {
		_, err := w.Write([]row{{fmt.Sprint(i, strings.Repeat(" word", size/5))}})
		testkit.OK(t, err)
	}
	testkit.OK(t, w.Close())
	r, err := open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	testkit.OK(t, err)
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	live() // what made the file is free after the second time
	before, most, lines := live(), int64(0), 0
	text := make([]byte, 64<<10)
	for {
		n, err := r.Read(text)
		if err == io.EOF {
			break
		}
		testkit.OK(t, err)
		if ends := bytes.Count(text[:n], []byte("\n")); ends > 0 || most == 0 {
			lines += ends
			most = max(most, live()-before)
		}
	}
	if lines != rows || most > 8*size {
		t.Errorf("%d lines; %d MiB are held, of rows of %d MiB", lines, most>>20, size>>20)
	}
}
