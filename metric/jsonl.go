package metric

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"time"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/recordfile"
	"github.com/bdia-go/bdia/internal/textfile"
)

// maxLine is the longest record that can be read, in bytes.
const maxLine = 1 << 20

// JSONL writes records as JSON lines. A record is one object on a line: "step",
// "time" (RFC 3339, UTC, milliseconds) and the values in the order given. JSON
// has no NaN or infinities, so they are the strings "NaN", "+Inf" and "-Inf".
type JSONL struct {
	file *recordfile.File
	buf  []byte
}

// OpenJSONL opens the record file path to continue after lastStep. It cuts the
// file before the first record of a later step, before a record of lastStep for
// which again (if not nil) is true, and before an incomplete last line. lastStep
// -1 empties the file. Lines within that are no records stay, and are counted. A
// file without any record is ErrCorrupt and left unchanged.
func OpenJSONL(path string, lastStep int, again func([]Field) bool) (*JSONL, Damage, error) {
	size, bad, err := keptRecords(path, lastStep, again)
	if err != nil {
		return nil, bad, fmt.Errorf("metric: continue records %s: %w", path, err)
	}
	f, err := recordfile.OpenAt(path, size)
	if err != nil {
		return nil, bad, fmt.Errorf("metric: open records: %w", err)
	}
	return &JSONL{file: f}, bad, nil
}

// keptRecords is where the records of steps up to lastStep end in the file at path.
func keptRecords(path string, lastStep int, again func([]Field) bool) (size int64, bad Damage, err error) {
	if lastStep < 0 {
		return 0, bad, nil
	}
	f, err := disk.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, bad, nil
	}
	if err != nil {
		return 0, bad, err
	}
	defer f.Close()
	bad, err = scanRecords(f, func(r record, end int64) bool {
		if r.step > int64(lastStep) || r.step == int64(lastStep) && again != nil && again(r.fields) {
			return false
		}
		size = end
		return true
	})
	return size, bad, err
}

// Record writes one record. A negative step, an empty name and the names "step"
// and "time" are errors. A record that the disk refuses is a WriteError; it waits
// in memory and is written before the next one.
func (w *JSONL) Record(step int, now time.Time, fields ...Field) error {
	if step < 0 {
		return fmt.Errorf("metric: record of step %d: steps are not negative", step)
	}
	b := append(w.buf[:0], `{"step":`...)
	b = strconv.AppendInt(b, int64(step), 10)
	b = append(b, `,"time":"`...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, '"')
	for _, f := range fields {
		if f.Name == "" || f.Name == "step" || f.Name == "time" {
			return fmt.Errorf("metric: record of step %d: a value cannot be named %q", step, f.Name)
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return fmt.Errorf("metric: record of step %d: name %q: %w", step, f.Name, err)
		}
		b = append(append(append(b, ','), name...), ':')
		b = appendValue(b, f.Value)
	}
	b = append(b, "}\n"...)
	w.buf = b
	return writeError(w.file, w.file.Append(b))
}

func appendValue(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(strconv.AppendFloat(append(b, '"'), v, 'g', -1, 64), '"')
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// Close closes the file.
func (w *JSONL) Close() error { return writeError(w.file, w.file.Close()) }

// Point is one measurement: X is usually the step, Y the value.
type Point struct{ X, Y float64 }

// Series has the values of one name, such as "val/loss", in the order of the records.
type Series struct {
	Name   string
	Points []Point
}

// Damage counts the lines of a record file that are no records.
type Damage struct {
	Lines int   // left out
	First int   // number of the first one
	Err   error // what is wrong with it
}

// ReadSeries reads a record file: one Series for each name, in order of first
// appearance, its points in order of the file. An incomplete last line is
// skipped. Other lines that are no records are left out and counted. A file
// without any record is ErrCorrupt.
func ReadSeries(path string) (all []Series, bad Damage, err error) {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return nil, bad, fmt.Errorf("metric: read records: %w", err)
	}
	defer f.Close()
	index := map[string]int{}
	bad, err = scanRecords(f, func(r record, _ int64) bool {
		for _, v := range r.fields {
			i, ok := index[v.Name]
			if !ok {
				i = len(all)
				index[v.Name] = i
				all = append(all, Series{Name: v.Name})
			}
			all[i].Points = append(all[i].Points, Point{float64(r.step), v.Value})
		}
		return true
	})
	if err != nil {
		return nil, bad, fmt.Errorf("metric: read records %s: %w", path, err)
	}
	return all, bad, nil
}

type record struct {
	step   int64
	fields []Field
}

// scanRecords calls f with each whole line's record and the position after it,
// until f returns false. It fails with ErrCorrupt if no line is a record.
func scanRecords(r io.Reader, f func(r record, end int64) bool) (bad Damage, err error) {
	br := bufio.NewReaderSize(r, maxLine)
	var end int64
	good := 0
	for line := 1; ; line++ {
		b, n, rerr := wholeLine(br)
		if rerr == io.EOF && n <= maxLine {
			break // the rest is an incomplete line
		}
		if rerr != nil && rerr != io.EOF {
			return bad, rerr
		}
		end += n
		rec, err := parseRecord(b)
		if n > maxLine {
			err = fmt.Errorf("longer than %d bytes", maxLine)
		}
		if err != nil {
			if bad.Lines++; bad.Lines == 1 {
				bad.First, bad.Err = line, textfile.Brief(err)
			}
			if rerr != nil {
				break
			}
			continue
		}
		good++
		if !f(rec, end) {
			break
		}
	}
	if good == 0 && bad.Lines > 0 {
		return bad, fmt.Errorf("%w: line %d is not a record: %w, and no other line is: move the file away", ErrCorrupt, bad.First, bad.Err)
	}
	return bad, nil
}

// wholeLine returns the next line and its length. Of a line beyond maxLine it returns only the end.
func wholeLine(br *bufio.Reader) (b []byte, n int64, err error) {
	for {
		b, err = br.ReadSlice('\n')
		n += int64(len(b))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return b, n, err
		}
	}
}

// parseRecord reads one line. Values other than numbers and the strings for NaN
// and infinities are skipped, for example a note added by hand.
func parseRecord(line []byte) (record, error) {
	r := record{step: -1}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return r, errors.New("no JSON object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return r, err
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return r, err
		}
		name, _ := key.(string)
		switch v := value.(type) {
		case json.Number:
			if name == "step" {
				if r.step, err = v.Int64(); err != nil || r.step < 0 {
					return r, fmt.Errorf("step %.40s", v)
				}
				continue
			}
			x, err := v.Float64()
			if err != nil {
				return r, fmt.Errorf("%.40s is beyond the numbers of float64", v)
			}
			r.fields = append(r.fields, Field{name, x})
		case string:
			if v == "NaN" || v == "+Inf" || v == "-Inf" {
				x, _ := strconv.ParseFloat(v, 64)
				r.fields = append(r.fields, Field{name, x})
			}
		}
	}
	if _, err := dec.Token(); err != nil {
		return r, err
	}
	if r.step < 0 {
		return r, errors.New("no step")
	}
	if len(bytes.TrimSpace(line[dec.InputOffset():])) > 0 {
		return r, errors.New("text after the object")
	}
	return r, nil
}
