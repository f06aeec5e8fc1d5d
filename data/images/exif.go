package images

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// orientation returns the EXIF orientation of an image file, 1 to 8; 1 is as stored. It reads headers only, and
// whatever is damaged counts as 1. No decoder of the standard library reads the tag, and a library for all of EXIF
// does far more than one number.
func orientation(f format, b []byte) int {
	switch f {
	case jpegFormat:
		return jpegOrientation(b)
	case pngFormat:
		for at := 8; len(b)-at >= 12; {
			n := int64(binary.BigEndian.Uint32(b[at:]))
			if n > int64(len(b)-at-12) {
				return 1
			}
			if string(b[at+4:at+8]) == "eXIf" {
				return tiffOrientation(b[at+8 : at+8+int(n)])
			}
			at += 12 + int(n)
		}
	case webpFormat:
		for id, data := range webpChunks(b) {
			if id == "EXIF" {
				return tiffOrientation(bytes.TrimPrefix(data, []byte("Exif\x00\x00")))
			}
		}
	case tiffFormat:
		return tiffOrientation(b)
	}
	return 1
}

// jpegOrientation looks for EXIF in the segments before the picture.
func jpegOrientation(b []byte) int {
	for marker, data := range segments(b) {
		if exif, ok := bytes.CutPrefix(data, []byte("Exif\x00\x00")); marker == 0xe1 && ok {
			return tiffOrientation(exif)
		}
	}
	return 1
}

// segments are the segments of a JPEG file before its picture, as far as they are whole: their markers and contents.
func segments(b []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for at := 2; len(b)-at >= 4 && b[at] == 0xff; {
			marker := b[at+1]
			if marker == 0xff { // a fill byte
				at++
				continue
			}
			if marker == 0x01 || marker >= 0xd0 && marker <= 0xd7 { // without length
				at += 2
				continue
			}
			n := int(binary.BigEndian.Uint16(b[at+2:]))
			if marker == 0xda || marker == 0xd9 || n < 2 || n > len(b)-at-2 || !yield(marker, b[at+4:at+2+n]) {
				return
			}
			at += 2 + n
		}
	}
}

// tiffOrientation reads tag 274 of the first directory of a TIFF file, which EXIF is.
func tiffOrientation(b []byte) int {
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if b[0] == 'I' {
		order = binary.LittleEndian
	}
	at := int64(order.Uint32(b[4:]))
	if order.Uint16(b[2:]) != 42 || at+2 > int64(len(b)) {
		return 1
	}
	entries := b[at+2:]
	for range order.Uint16(b[at:]) {
		if len(entries) < 12 {
			return 1
		}
		if order.Uint16(entries) == 0x112 {
			v := int(order.Uint16(entries[8:]))
			if order.Uint16(entries[2:]) == 4 { // a long number
				v = int(order.Uint32(entries[8:]))
			}
			if v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
		entries = entries[12:]
	}
	return 1
}

// turned reports whether an orientation swaps width and height.
func turned(orientation int) bool { return orientation >= 5 }

// upright returns the pixel of a stored w×h image that is at (x,y) of the upright one.
func upright(orientation, w, h, x, y int) (int, int) {
	switch orientation {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}
