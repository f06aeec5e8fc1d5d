package metric

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/recordfile"
	"github.com/bdia-go/bdia/internal/textfile"
)

// CertificateName is the name of the file of certificates in a run directory.
const CertificateName = "certificate.jsonl"

// Certificate says what one step computed, in digests of bits (see backend.Digest). Two runs that compute the same have
// the same certificates, whatever the number of threads, the instruction set, the split into micro-batches or the
// memory mode.
type Certificate struct {
	Step   int
	Loss   float64  // mean over the batch
	States []uint64 // of x_0 to x_K, added up over the samples; of an encoder-decoder first the encoder's
	Blocks []Digest // of the parameters after the step, in the order of the model
	// Hash chains the certificates: the SHA-256, its first 16 bytes in hexadecimal digits, of the hash of the
	// certificate before and of this line without its hash. So one hash stands for a run up to its step.
	Hash string
}

// Digest is the digest of what has a name, such as the parameters of "blocks.3".
type Digest struct {
	Name string
	Sum  uint64
}

// Certify appends c to the certificates, and completes its Hash. The error of a disk is a WriteError.
func (r *Run) Certify(c *Certificate) error {
	w := r.certificates
	w.buf = c.append(w.buf[:0])
	c.Hash = chained(w.last, w.buf)
	w.last = c.Hash
	w.buf = append(append(append(w.buf, `,"hash":"`...), c.Hash...), "\"}\n"...)
	return writeError(w.file, w.file.Append(w.buf))
}

// append appends the line of c without its hash.
func (c *Certificate) append(b []byte) []byte {
	b = strconv.AppendInt(append(b, `{"step":`...), int64(c.Step), 10)
	b = appendValue(append(b, `,"loss":`...), c.Loss)
	b = append(b, `,"states":[`...)
	for i, sum := range c.States {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendSum(b, sum)
	}
	b = append(b, `],"blocks":{`...)
	for i, d := range c.Blocks {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, d.Name), ':')
		b = appendSum(b, d.Sum)
	}
	return append(b, '}')
}

// appendSum appends sum as 16 hexadecimal digits in quotation marks.
func appendSum(b []byte, sum uint64) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[sum>>shift&15])
	}
	return append(b, '"')
}

// chained is the hash of a line that follows the hash before.
func chained(before string, line []byte) string {
	h := sha256.New()
	io.WriteString(h, before)
	h.Write(line)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// certificates is the file that Certify writes.
type certificates struct {
	file *recordfile.File
	last string // hash
	buf  []byte
}

// openCertificates opens the file at its mark, or by its steps. A file that was changed or damaged is set aside.
func (r *Run) openCertificates(from Start) error {
	path := filepath.Join(r.dir, CertificateName)
	w, err := continueCertificates(path, from)
	if errors.Is(err, recordfile.ErrMark) || errors.Is(err, ErrCorrupt) {
		w, err = r.setAside(path, err)
	}
	if err != nil {
		return fmt.Errorf("metric: open certificates: %w", err)
	}
	r.certificates = w
	return nil
}

// continueCertificates opens the file at path to go on after the certificates that stay.
func continueCertificates(path string, from Start) (*certificates, error) {
	mark, marked := from.Marks[CertificateName]
	last, size, err := "", int64(0), error(nil)
	if !marked && from.After >= 0 {
		last, size, err = keptCertificates(path, from.After)
	}
	if err != nil {
		return nil, err
	}
	w := &certificates{last: last}
	if !marked {
		w.file, err = recordfile.OpenAt(path, size)
		return w, err
	}
	if w.file, err = recordfile.Open(path, mark); err != nil {
		return nil, err
	}
	if w.last, err = lastHash(path); err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return w, nil
}

// keptCertificates is the hash of the last certificate in the file at path of the steps up to after, and where it ends.
func keptCertificates(path string, after int) (last string, size int64, err error) {
	err = eachCertificate(path, func(c Certificate, end int64) bool {
		if c.Step > after {
			return false
		}
		last, size = c.Hash, end
		return true
	})
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return last, size, err
}

// lastHash is the hash in the last line of the file at path, or empty without a line.
func lastHash(path string) (string, error) {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return "", err
	}
	from := max(0, info.Size()-maxLine)
	b, err := io.ReadAll(io.NewSectionReader(f, from, maxLine))
	if err != nil {
		return "", err
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	c, err := decodeCertificate(b[bytes.LastIndexByte(b, '\n')+1:])
	if err != nil {
		return "", fmt.Errorf("%s: %w: its last line: %w", path, ErrCorrupt, err)
	}
	return c.Hash, nil
}

// setAside renames the file at path, which why says is not as it was, and begins a new one.
func (r *Run) setAside(path string, why error) (*certificates, error) {
	to := path + ".damaged"
	for i := 2; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, os.ErrNotExist) {
			break
		} else if err != nil {
			return nil, err
		}
		to = fmt.Sprintf("%s.damaged.%d", path, i)
	}
	switch err := disk.Rename(path, to); {
	case err == nil:
		r.note("%s: %v; it is kept as %s, and certificates begin anew", path, why, filepath.Base(to))
	case errors.Is(err, os.ErrNotExist):
		r.note("%s: %v; certificates begin anew", path, why)
	default:
		return nil, err
	}
	file, err := recordfile.OpenAt(path, 0)
	return &certificates{file: file}, err
}

// EachCertificate calls f with the certificates of the run in dir, in order, until it returns false. It fails with
// os.ErrNotExist if there are none, and with ErrCorrupt at a line that is not as it was written.
func EachCertificate(dir string, f func(c Certificate) bool) error {
	return eachCertificate(filepath.Join(dir, CertificateName), func(c Certificate, _ int64) bool { return f(c) })
}

// eachCertificate is EachCertificate with the position after each line.
func eachCertificate(path string, f func(c Certificate, end int64) bool) error {
	file, err := disk.OpenRegular(path)
	if err != nil {
		return fmt.Errorf("metric: read certificates: %w", err)
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, maxLine)
	last, end := "", int64(0)
	for line := 1; ; line++ {
		b, err := r.ReadSlice('\n')
		if err == io.EOF {
			return nil // the rest is an incomplete line
		}
		end += int64(len(b))
		var c Certificate
		if err == nil {
			c, err = parseCertificate(b, last)
		}
		if err != nil {
			return fmt.Errorf("metric: %s: %w: line %d: %w", path, ErrCorrupt, line, textfile.Brief(err))
		}
		if last = c.Hash; !f(c, end) {
			return nil
		}
	}
}

// parseCertificate reads one line, which follows the hash before.
func parseCertificate(line []byte, before string) (Certificate, error) {
	c, err := decodeCertificate(line)
	if err != nil {
		return c, err
	}
	if text := c.append(nil); !bytes.HasPrefix(line, text) || c.Hash != chained(before, text) {
		return c, errors.New("its hash is of another line, or of other lines before it")
	}
	return c, nil
}

// decodeCertificate reads the values of a line.
func decodeCertificate(line []byte) (c Certificate, err error) {
	var j struct {
		Step   int
		Loss   json.RawMessage
		States []string
		Blocks orderedSums
		Hash   string
	}
	if err := json.Unmarshal(line, &j); err != nil {
		return c, err
	}
	c = Certificate{Step: j.Step, Blocks: j.Blocks, Hash: j.Hash}
	if c.Loss, err = strconv.ParseFloat(string(bytes.Trim(j.Loss, `"`)), 64); err != nil {
		return c, err
	}
	for _, s := range j.States {
		sum, err := strconv.ParseUint(s, 16, 64)
		if err != nil {
			return c, err
		}
		c.States = append(c.States, sum)
	}
	return c, nil
}

// orderedSums is a JSON object of sums that keeps its order.
type orderedSums []Digest

func (o *orderedSums) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return errors.New("no JSON object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value string
		if err := dec.Decode(&value); err != nil {
			return err
		}
		sum, err := strconv.ParseUint(value, 16, 64)
		if err != nil {
			return err
		}
		*o = append(*o, Digest{fmt.Sprint(key), sum})
	}
	return nil
}

// Difference is the first thing that two certificates of a step have differently.
type Difference struct {
	Step int    `json:"step"`
	What string `json:"what"` // for example "state 3", "loss" or "parameters of blocks.2"
	A    string `json:"a"`
	B    string `json:"b"`
}

// Differ returns the first difference of two certificates of a step, in the order in which a step computes: states,
// the loss, updated parameters. It returns nil if there is none. A state k that differs, with k-1 that does not, was
// computed otherwise by block k-1; state 0 by the embedding.
func (c *Certificate) Differ(other *Certificate) *Difference {
	for k := range max(len(c.States), len(other.States)) {
		if a, b := stateText(c.States, k), stateText(other.States, k); a != b {
			return &Difference{c.Step, fmt.Sprint("state ", k), a, b}
		}
	}
	if math.Float64bits(c.Loss) != math.Float64bits(other.Loss) {
		return &Difference{c.Step, "loss", fmt.Sprint(c.Loss), fmt.Sprint(other.Loss)}
	}
	for i := range max(len(c.Blocks), len(other.Blocks)) {
		var a, b Digest
		if i < len(c.Blocks) {
			a = c.Blocks[i]
		}
		if i < len(other.Blocks) {
			b = other.Blocks[i]
		}
		if a != b {
			return &Difference{c.Step, "parameters of " + cmp.Or(a.Name, b.Name), a.text(), b.text()}
		}
	}
	return nil
}

// stateText is the digest of state k as the file has it; "none" without one.
func stateText(states []uint64, k int) string {
	if k >= len(states) {
		return "none"
	}
	return fmt.Sprintf("%016x", states[k])
}

func (d Digest) text() string {
	if d.Name == "" {
		return "none"
	}
	return fmt.Sprintf("%016x", d.Sum)
}
