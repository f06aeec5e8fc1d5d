package textfile

import (
	"bufio"
	"errors"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// ErrUTF32 is the error for a text that begins with the mark of UTF-32.
var ErrUTF32 = errors.New("the text is UTF-32; convert it, for example with iconv -f utf-32 -t utf-8")

// Marks at the beginning of a text. UTF-32's little-endian one begins with UTF-16's.
const (
	littleMark   = "\xff\xfe"
	bigMark      = "\xfe\xff"
	littleMark32 = "\xff\xfe\x00\x00"
	bigMark32    = "\x00\x00\xfe\xff"
)

// decode prepares to read UTF-16, and reports whether the text is that.
func (r *Reader) decode() (bool, error) {
	for _, mark := range []string{littleMark32, bigMark32} {
		if is, err := r.starts(mark); err != nil {
			return false, err
		} else if is {
			return false, ErrUTF32
		}
	}
	for mark, order := range map[string]unicode.Endianness{littleMark: unicode.LittleEndian, bigMark: unicode.BigEndian} {
		is, err := r.starts(mark)
		if err != nil {
			return false, err
		}
		if is {
			r.text.Discard(len(mark))
			r.from(order)
			return true, nil
		}
	}
	if r.o.AsItComes {
		return false, nil
	}
	head, _ := r.text.Peek(min(r.text.Size(), 512)) // an error comes again after the text before it
	switch {
	case isUTF16(head, 0):
		r.from(unicode.LittleEndian)
	case isUTF16(head, 1):
		r.from(unicode.BigEndian)
	default:
		return false, nil
	}
	return true, nil
}

// isUTF16 reports whether head is UTF-16 with the low byte of each unit at low, 0 or 1: three quarters of the units
// are letters and marks of ASCII, and hardly a low byte is zero.
func isUTF16(head []byte, low int) bool {
	units, ascii, zeros := len(head)/2, 0, 0
	for i := range units {
		switch b := head[2*i+low]; {
		case b == 0:
			zeros++
		case head[2*i+1-low] == 0 && (b >= ' ' && b < 0x7f || b == '\n' || b == '\r' || b == '\t'):
			ascii++
		}
	}
	return ascii > 1 && ascii >= units*3/4 && zeros <= units/16
}

// from reads what is left as UTF-16.
func (r *Reader) from(order unicode.Endianness) {
	r.text = bufio.NewReaderSize(transform.NewReader(r.text, unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder()), r.o.Buffer)
}
