package images

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"iter"

	"golang.org/x/image/webp"
)

// chunks are the chunks of RIFF, as far as they are whole: their names and contents.
func chunks(b []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for len(b) >= 8 {
			n := int64(binary.LittleEndian.Uint32(b[4:]))
			if n > int64(len(b)-8) || !yield(string(b[:4]), b[8:8+n]) {
				return
			}
			b = b[min(8+n+n&1, int64(len(b))):]
		}
	}
}

// webpChunks are the chunks of a WebP file.
func webpChunks(b []byte) iter.Seq2[string, []byte] { return chunks(b[min(12, len(b)):]) }

// firstFrame returns the first picture of an animated WebP file as a file of its own, and its place on the canvas.
func firstFrame(b []byte) (still []byte, at image.Point, err error) {
	for id, data := range webpChunks(b) {
		if id != "ANMF" || len(data) < 16 {
			continue
		}
		number := func(i int) int { return int(data[i]) | int(data[i+1])<<8 | int(data[i+2])<<16 }
		still = append(still, "RIFF\x00\x00\x00\x00WEBP"...)
		at = image.Pt(2*number(0), 2*number(3))
		var alpha []byte
		for id, inner := range chunks(data[16:]) {
			switch id {
			case "ALPH":
				alpha = inner
			case "VP8 ", "VP8L":
				if alpha != nil {
					still = appendChunk(still, "VP8X", append([]byte{1 << 4, 0, 0, 0}, data[6:12]...))
					still = appendChunk(still, "ALPH", alpha)
				}
				still = appendChunk(still, id, inner)
				binary.LittleEndian.PutUint32(still[4:], uint32(len(still)-8))
				return still, at, nil
			}
		}
		break
	}
	return nil, at, errors.New("webp: an animation without a picture")
}

func appendChunk(b []byte, id string, data []byte) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, id...), uint32(len(data)))
	return append(append(b, data...), make([]byte, len(data)%2)...)
}

// checkWebP checks that the frame of an extended WebP file is as large as its canvas. The decoder sizes transparency by
// the canvas, but memory and colour by the frame.
func checkWebP(b []byte) error {
	if len(b) < 16 || string(b[12:16]) != "VP8X" {
		return nil
	}
	canvas, err := webp.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return err
	}
	for at := 12; len(b)-at >= 8; {
		id, length := string(b[at:at+4]), int64(binary.LittleEndian.Uint32(b[at+4:]))
		if id == "VP8 " || id == "VP8L" {
			head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(b)-at))
			head = append(head, "WEBP"...)
			frame, err := webp.DecodeConfig(io.MultiReader(bytes.NewReader(head), bytes.NewReader(b[at:])))
			if err != nil {
				return err
			}
			if frame.Width != canvas.Width || frame.Height != canvas.Height {
				return fmt.Errorf("webp: a frame of %d×%d on a canvas of %d×%d", frame.Width, frame.Height, canvas.Width, canvas.Height)
			}
			return nil
		}
		if length += 8 + length&1; length > int64(len(b)-at) {
			break
		}
		at += int(length)
	}
	return errors.New("webp: no image")
}

// firstWebP decodes a WebP file as FirstReading has it: it repeats colour, and corrects only the range.
func firstWebP(r io.Reader) (image.Image, error) {
	m, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	var video *image.YCbCr
	opacity := func(x, y int) uint8 { return 255 }
	switch m := m.(type) {
	case *image.YCbCr:
		video = m
	case *image.NYCbCrA:
		video = &m.YCbCr
		opacity = func(x, y int) uint8 { return m.A[m.AOffset(x, y)] }
	default:
		return m, nil
	}
	rgb := image.NewNRGBA(video.Rect)
	for y := video.Rect.Min.Y; y < video.Rect.Max.Y; y++ {
		for x := video.Rect.Min.X; x < video.Rect.Max.X; x++ {
			c := video.YCbCrAt(x, y)
			luma, cb, cr := 298*(int(c.Y)-16), int(c.Cb)-128, int(c.Cr)-128 // in 256ths
			rgb.SetNRGBA(x, y, color.NRGBA{
				byteOf(luma + 409*cr), byteOf(luma - 100*cb - 208*cr), byteOf(luma + 517*cb), opacity(x, y)})
		}
	}
	return rgb, nil
}

// byteOf rounds v/256 to a byte.
func byteOf(v int) uint8 { return uint8(min(max((v+128)>>8, 0), 255)) }
