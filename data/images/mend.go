package images

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// mended returns an image file that Go's decoders read although it is damaged around its pixels, as libpng and libjpeg
// read it. No pixels are made up: in PNG, a chunk beside the pixels is dropped if its checksum is wrong, and the end is
// added if it is missing; in JPEG, only the mark of the end is added. Other files are returned as they are.
func mended(b []byte, reading Reading) []byte {
	if !reading.latest() {
		return b
	}
	switch formatOf(b) {
	case pngFormat:
		return mendedPNG(b)
	case jpegFormat:
		if !bytes.HasSuffix(b, []byte("\xff\xd9")) && oneScan(b) {
			return append(slices.Clip(b), 0xff, 0xd9)
		}
	}
	return b
}

// oneScan reports whether a JPEG file has all of its picture in one scan, so that the decoder notices what is missing.
// A progressive file has several, and is a picture without the last ones too.
func oneScan(b []byte) bool {
	for marker := range segments(b) {
		if marker == 0xc0 || marker == 0xc1 {
			return true
		}
	}
	return false
}

func mendedPNG(b []byte) []byte {
	const around = 12 // bytes of a chunk beside its content: length, name, checksum
	at, from, pixels := 8, 0, false
	var out []byte // the chunks before from, without the dropped ones
	for len(b)-at >= around {
		n := int64(binary.BigEndian.Uint32(b[at:]))
		if n > int64(len(b)-at-around) {
			break
		}
		chunk := b[at : at+around+int(n)]
		name, sum := string(chunk[4:8]), chunk[len(chunk)-4:]
		if name == "IEND" {
			if out == nil {
				return b
			}
			return append(out, b[from:]...)
		}
		pixels = pixels || name == "IDAT"
		beside := name[0]&0x20 != 0 && name != "tRNS"
		if beside && crc32.ChecksumIEEE(chunk[4:len(chunk)-4]) != binary.BigEndian.Uint32(sum) {
			out = append(out, b[from:at]...)
			from = at + len(chunk)
		}
		at += len(chunk)
	}
	if cut := b[at:]; !pixels || len(cut) >= 8 && string(cut[4:8]) != "IEND" {
		return b
	}
	return append(append(out, b[from:at]...), "\x00\x00\x00\x00IEND\xaeB\x60\x82"...)
}
