package parquet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The largest page, of which programs write one for about a MiB. A damaged file may claim two GiB, and parquet-go makes
// room for what it claims.
const (
	mostBytes  = 256 << 20 // unpacked
	mostValues = 64 << 20
)

// checkEnd looks at the last bytes of a file: the length of its description, and the format's name.
func checkEnd(r io.ReaderAt, size int64) error {
	var end [8]byte
	if _, err := r.ReadAt(end[:], size-8); err != nil && err != io.EOF {
		return err
	}
	if n := int64(binary.LittleEndian.Uint32(end[:])); string(end[4:]) != "PAR1" || n > size-12 {
		return errors.New("its end is missing: is the file whole?")
	}
	return nil
}

// check reads the headers of all pages. It returns an error for one with impossible sizes, and for LZ4.
func check(f *parquet.File, r io.ReaderAt, size int64) error {
	for i, group := range f.Metadata().RowGroups {
		for _, c := range group.Columns {
			m := &c.MetaData
			start := m.DataPageOffset
			if d := m.DictionaryPageOffset; d > 0 {
				start = min(start, d)
			}
			if m.Codec == format.Lz4 || m.Codec == format.Lz4Raw {
				// Of a damaged page parquet-go asks for more and more memory, without end.
				return errors.New("it is packed with LZ4, which is not read: write it with zstd or snappy")
			}
			if start < 0 || m.TotalCompressedSize < 0 || start > size || m.TotalCompressedSize > size-start {
				return fmt.Errorf("it is damaged: group %d of rows, column %v: its place is outside the file", i, m.PathInSchema)
			}
			if err := checkPages(io.NewSectionReader(r, start, m.TotalCompressedSize)); err != nil {
				return fmt.Errorf("group %d of rows, column %v: %w", i, m.PathInSchema, err)
			}
		}
	}
	return nil
}

// checkPages reads the headers of a column's pages.
func checkPages(pages *io.SectionReader) error {
	buf := bufio.NewReaderSize(pages, 1<<10)
	protocol := thrift.CompactProtocol{}
	decoder := thrift.NewDecoder(protocol.NewReader(buf))
	for {
		at, err := pages.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		at -= int64(buf.Buffered())
		if at == pages.Size() {
			return nil
		}
		var h format.PageHeader
		if err := decoder.Decode(&h); err != nil {
			return fmt.Errorf("the page at byte %d: %w", at, err)
		}
		values := max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues)
		if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 || h.UncompressedPageSize > mostBytes || values > mostValues {
			return fmt.Errorf("the page at byte %d claims %d bytes and %d values", at, h.UncompressedPageSize, values)
		}
		read, _ := pages.Seek(0, io.SeekCurrent)
		next := read - int64(buf.Buffered()) + int64(h.CompressedPageSize)
		if next > pages.Size() {
			return fmt.Errorf("the page at byte %d is cut short", at)
		}
		if _, err := pages.Seek(next, io.SeekStart); err != nil {
			return err
		}
		buf.Reset(pages)
	}
}
