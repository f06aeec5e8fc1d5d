package metric

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bdia-go/bdia/internal/testkit"
)

// The vectors of Apache Beam's TFRecord test.
func TestMaskedCRC(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]uint32{
		strings.Repeat("\x00", 32):         0x0fd7fffa,
		strings.Repeat("\xff", 32):         0xf909b029,
		"foo":                              0xfebe8a61,
		"\x03\x00\x00\x00\x00\x00\x00\x00": 0x0e4999b0,
	} {
		if got := maskedCRC([]byte(in)); got != want {
			t.Errorf("maskedCRC(%q) = %#x, want %#x", in, got, want)
		}
	}
}

// Three records put together by a separate program, byte by byte from the
// definitions of the formats: file version; step 300 with two scalars; a start
// at step 11. All at time 1700000000.5.
const (
	versionRecord = "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110"
	scalarRecord  = "2c00000000000000f4aecc450900002040fc54d94110ac022a1e0a110a0a747261696e2f6c6f7373150000" +
		"20400a090a026c72156f12833a3700c8f5"
	startRecord = "0f000000000000006d532b090900002040fc54d941100b3a0208015e354911"
)

var testTime = time.Unix(1700000000, 500_000_000)

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEventBytes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tensorboard")
	w, err := CreateEvents(dir, 10, testTime)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Record(300, testTime, Field{"train/loss", 2.5}, Field{"lr", 0.001}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Skip("no host name")
	}
	got, err := os.ReadFile(filepath.Join(dir, "events.out.tfevents.1700000000."+host))
	if err != nil {
		t.Fatal(err)
	}
	if want := fromHex(t, versionRecord+startRecord+scalarRecord); !bytes.Equal(got, want) {
		t.Errorf("event file\n%x\nwant\n%x", got, want)
	}
	second, err := CreateEvents(dir, -1, testTime)
	if err != nil {
		t.Fatalf("a second file in the same second: %v", err)
	}
	if second.file.Name() == w.file.Name() {
		t.Error("a second file took the name of the first")
	}
	second.Close()
}

func TestReadEvents(t *testing.T) {
	t.Parallel()
	whole := fromHex(t, versionRecord+scalarRecord+startRecord)
	want := []Event{
		{WallTime: 1700000000.5, FileVersion: "brain.Event:2"},
		{WallTime: 1700000000.5, Step: 300, Fields: []Field{{"train/loss", 2.5}, {"lr", float64(float32(0.001))}}},
		{WallTime: 1700000000.5, Step: 11, Start: true},
	}
	got, err := ReadEvents(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	ends := map[int]int{0: 0, len(versionRecord) / 2: 1, (len(versionRecord) + len(scalarRecord)) / 2: 2}
	for n := range whole {
		got, err := ReadEvents(bytes.NewReader(whole[:n]))
		if events, ok := ends[n]; ok {
			if err != nil || len(got) != events {
				t.Errorf("first %d bytes: %d events, error %v", n, len(got), err)
			}
		} else if !errors.Is(err, ErrCorrupt) {
			t.Errorf("first %d bytes: error %v", n, err)
		}
	}
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 4
		if _, err := ReadEvents(bytes.NewReader(bad)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a changed bit in byte %d: error %v", i, err)
		}
	}
}

func TestReadEventsLimitsLength(t *testing.T) {
	t.Parallel()
	head := []byte{0, 0, 0, 0, 0, 0, 0, 0x40}
	crc := maskedCRC(head)
	head = append(head, byte(crc), byte(crc>>8), byte(crc>>16), byte(crc>>24))
	if _, err := ReadEvents(bytes.NewReader(head)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an event of 2^62 bytes: error %v", err)
	}
}

func TestEventsKeepNonFinite(t *testing.T) {
	t.Parallel()
	w, err := CreateEvents(t.TempDir(), -1, testTime)
	if err != nil {
		t.Fatal(err)
	}
	fields := []Field{{"nan", math.NaN()}, {"inf", math.Inf(1)}, {"zero", 0}}
	if err := errors.Join(w.Record(0, testTime, fields...), w.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(w.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadEvents(bytes.NewReader(b))
	if err != nil || len(got) != 2 {
		t.Fatalf("%d events, error %v", len(got), err)
	}
	if d := cmp.Diff(fields, got[1].Fields, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
}

// TestEventsBeginAnew: a run that begins anew removes earlier event files and nothing else, whatever its folder is named.
func TestEventsBeginAnew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "k[1]")
	old, other := filepath.Join(dir, tensorBoardDir, eventPrefix+"1"), filepath.Join(dir, tensorBoardDir, "notes")
	if err := os.MkdirAll(filepath.Dir(old), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{old, other} {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenRun(dir, Start{After: -1, TensorBoard: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, gone := os.Stat(old)
	_, stays := os.Stat(other)
	if !errors.Is(gone, os.ErrNotExist) || stays != nil {
		t.Errorf("the old events: %v, another file: %v", gone, stays)
	}
}

// FuzzParseEvent reads arbitrary bytes as the inside of a record: the checksums
// of whole files would keep a fuzzer out.
func FuzzParseEvent(f *testing.F) {
	for _, s := range []string{versionRecord, scalarRecord, startRecord} {
		b := fromHex(f, s)
		f.Add(b[12 : len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, one := parseEvent(b)
		_, all := ReadEvents(bytes.NewReader(b))
		for _, err := range []error{one, all} {
			testkit.Refused(t, err)
			if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
		}
	})
}
