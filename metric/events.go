package metric

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/recordfile"
)

// A TensorBoard event file is a sequence of TFRecords, each the length of its
// data (8 bytes, little-endian), the masked CRC-32C of those 8 bytes, the data,
// and the masked CRC-32C of the data. The data is an Event message of
// tensorflow/core/util/event.proto. Its fields used here:
//
//	Event         1 wall_time double  2 step int64  3 file_version string
//	              5 summary Summary   7 session_log SessionLog
//	Summary       1 repeated Value    Value  1 tag string  2 simple_value float
//	SessionLog    1 status enum, 1 = START
const (
	eventPrefix  = "events.out.tfevents."
	fileVersion  = "brain.Event:2"
	maxEventData = 16 << 20 // longest event that is read, in bytes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of a TFRecord: CRC-32C, rotated and shifted, so
// that checksums inside checksummed data do no harm.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// Events writes a TensorBoard event file of scalars. TensorBoard keeps values
// as float32.
type Events struct{ file *recordfile.File }

// CreateEvents makes a new event file, named by the time now and the host, in
// folder dir, creating dir if necessary. With lastStep >= 0, for a resumed run,
// the file tells TensorBoard to drop later steps in earlier files.
func CreateEvents(dir string, lastStep int, now time.Time) (*Events, error) {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	host = strings.NewReplacer("/", "_", `\`, "_").Replace(host)
	if err := disk.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("metric: create events: %w", err)
	}
	path := filepath.Join(dir, fmt.Sprintf("%s%d.%s", eventPrefix, now.Unix(), host))
	f, err := createNew(path)
	if err != nil {
		return nil, fmt.Errorf("metric: create events: %w", err)
	}
	w := &Events{file: f}
	err = w.write(protowire.AppendString(protowire.AppendTag(eventHead(now, 0), 3, protowire.BytesType), fileVersion))
	if err == nil && lastStep >= 0 {
		start := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
		e := protowire.AppendTag(eventHead(now, int64(lastStep)+1), 7, protowire.BytesType)
		err = w.write(protowire.AppendBytes(e, start))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// OpenEvents opens the event file at path to go on after mark. It fails with an error if the file is not what it was
// then.
func OpenEvents(path string, mark Mark) (*Events, error) {
	f, err := recordfile.Open(path, mark)
	if err != nil {
		return nil, fmt.Errorf("metric: continue events: %w", err)
	}
	return &Events{file: f}, nil
}

// createNew creates path, or path.2, path.3, ... if path exists from the same
// second.
func createNew(path string) (*recordfile.File, error) {
	name := path
	for i := 2; ; i++ {
		f, err := disk.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			f.Close()
			return recordfile.OpenAt(name, 0)
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		name = fmt.Sprintf("%s.%d", path, i)
	}
}

// eventHead starts an Event message: its time and, unless 0, its step.
func eventHead(now time.Time, step int64) []byte {
	b := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(now.UnixMicro())/1e6))
	if step != 0 {
		b = protowire.AppendTag(b, 2, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(step))
	}
	return b
}

// Record writes the values measured at step as one event of scalars.
func (w *Events) Record(step int, now time.Time, fields ...Field) error {
	var summary []byte
	for _, f := range fields {
		v := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), f.Name)
		v = protowire.AppendFixed32(protowire.AppendTag(v, 2, protowire.Fixed32Type), math.Float32bits(float32(f.Value)))
		summary = protowire.AppendBytes(protowire.AppendTag(summary, 1, protowire.BytesType), v)
	}
	e := protowire.AppendTag(eventHead(now, int64(step)), 5, protowire.BytesType)
	return w.write(protowire.AppendBytes(e, summary))
}

// write appends one TFRecord, which waits in memory where the disk refuses it.
func (w *Events) write(event []byte) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(event)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, event...)
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(event))
	return writeError(w.file, w.file.Append(b))
}

// Close closes the file.
func (w *Events) Close() error { return writeError(w.file, w.file.Close()) }

// Event is one event of a TensorBoard file, with the fields that this package
// writes.
type Event struct {
	WallTime    float64 // seconds since 1970
	Step        int64
	FileVersion string  // only in the first event of a file
	Start       bool    // the run starts or resumes at Step: later steps of earlier files are void
	Fields      []Field // scalars
}

// ReadEvents reads the events of a TensorBoard file. If a record is damaged or
// the last one incomplete, it returns the events before it and ErrCorrupt.
func ReadEvents(r io.Reader) ([]Event, error) {
	br := bufio.NewReader(r)
	var events []Event
	for {
		data, err := readRecord(br)
		if err == io.EOF {
			return events, nil
		}
		var e Event
		if err == nil {
			e, err = parseEvent(data)
		}
		if err != nil {
			return events, fmt.Errorf("metric: read event %d: %w", len(events), err)
		}
		events = append(events, e)
	}
}

// readRecord reads one TFRecord; io.EOF only at the end of a whole record.
func readRecord(r io.Reader) ([]byte, error) {
	unfinished := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: the record is unfinished", ErrCorrupt)
		}
		return err
	}
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if err == io.EOF {
			return nil, err
		}
		return nil, unfinished(err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if binary.LittleEndian.Uint32(head[8:]) != maskedCRC(head[:8]) {
		return nil, fmt.Errorf("%w: the length does not match its checksum", ErrCorrupt)
	}
	if n > maxEventData {
		return nil, fmt.Errorf("%w: an event of %d bytes, at most %d are read", ErrCorrupt, n, maxEventData)
	}
	// The buffer grows with the data read, not with the claimed length.
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r, int64(n)+4); err != nil {
		return nil, unfinished(err)
	}
	data := buf.Bytes()[:n]
	if binary.LittleEndian.Uint32(buf.Bytes()[n:]) != maskedCRC(data) {
		return nil, fmt.Errorf("%w: the data does not match its checksum", ErrCorrupt)
	}
	return data, nil
}

func parseEvent(b []byte) (Event, error) {
	var e Event
	err := eachField(b, func(num protowire.Number, bits uint64, b []byte) error {
		switch num {
		case 1:
			e.WallTime = math.Float64frombits(bits)
		case 2:
			e.Step = int64(bits)
		case 3:
			e.FileVersion = string(b)
		case 5:
			return eachField(b, func(num protowire.Number, _ uint64, b []byte) error {
				if num != 1 {
					return nil
				}
				f, scalar, err := parseValue(b)
				if scalar {
					e.Fields = append(e.Fields, f)
				}
				return err
			})
		case 7:
			return eachField(b, func(num protowire.Number, bits uint64, _ []byte) error {
				e.Start = e.Start || num == 1 && bits == 1
				return nil
			})
		}
		return nil
	})
	return e, err
}

func parseValue(b []byte) (f Field, scalar bool, err error) {
	err = eachField(b, func(num protowire.Number, bits uint64, b []byte) error {
		switch num {
		case 1:
			f.Name = string(b)
		case 2:
			f.Value, scalar = float64(math.Float32frombits(uint32(bits))), true
		}
		return nil
	})
	return f, scalar, err
}

// eachField calls f for each field of a message: with its bits if it is a
// number, else with its bytes.
func eachField(b []byte, f func(num protowire.Number, bits uint64, b []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		var bits uint64
		var data []byte
		if n >= 0 {
			b = b[n:]
			switch typ {
			case protowire.VarintType:
				bits, n = protowire.ConsumeVarint(b)
			case protowire.Fixed64Type:
				bits, n = protowire.ConsumeFixed64(b)
			case protowire.Fixed32Type:
				var x uint32
				x, n = protowire.ConsumeFixed32(b)
				bits = uint64(x)
			case protowire.BytesType:
				data, n = protowire.ConsumeBytes(b)
			default:
				n = protowire.ConsumeFieldValue(num, typ, b)
			}
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrCorrupt, protowire.ParseError(n))
		}
		b = b[n:]
		if err := f(num, bits, data); err != nil {
			return err
		}
	}
	return nil
}
