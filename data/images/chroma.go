package images

import (
	"image"
	"image/draw"
)

// Colour JPEG and lossy WebP files keep colour at half the resolution of brightness, and the decoders of Go leave it
// so. The types below make pixels of it by the integer formulas of libjpeg and libwebp, so that models of other
// programs see the pixels that they were trained on.

// cropper is an image that makes the pixels of a rectangle in its own way.
type cropper interface {
	crop(r image.Rectangle) *image.RGBA
}

// jpegColour is a colour JPEG as libjpeg shows it.
type jpegColour struct{ *image.YCbCr }

// jpegTables are what Cb and Cr add to the channels, as libjpeg has it: in 65536ths for green.
var jpegTables = func() (t struct{ crRed, cbBlue, crGreen, cbGreen [256]int32 }) {
	for i := range int32(256) {
		x := i - 128
		t.crRed[i] = (91881*x + 1<<15) >> 16
		t.cbBlue[i] = (116130*x + 1<<15) >> 16
		t.crGreen[i] = -46802 * x
		t.cbGreen[i] = -22554*x + 1<<15
	}
	return t
}()

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

func (m jpegColour) crop(r image.Rectangle) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	t := &jpegTables
	up := newUpsampler(m.YCbCr, r)
	for y := range r.Dy() {
		cb, cr := up.rows(r.Min.Y - m.Rect.Min.Y + y)
		luma := m.Y[m.YOffset(r.Min.X, r.Min.Y+y):][:r.Dx()]
		cb, cr = cb[:len(luma)], cr[:len(luma)]
		pix := out.Pix[y*out.Stride:][:4*len(luma)]
		for x, v := range luma {
			l, b, c := int32(v), cb[x], cr[x]
			p := pix[4*x:][:4:4]
			p[0] = clamp(l + t.crRed[c])
			p[1] = clamp(l + (t.cbGreen[b]+t.crGreen[c])>>16)
			p[2] = clamp(l + t.cbBlue[b])
			p[3] = 255
		}
	}
	return out
}

// upsampler gives rows of Cb and Cr as wide as rows of Y, for the columns of a rectangle.
type upsampler struct {
	m              *image.YCbCr
	from           int // first column
	width, height  int // of the colour planes
	across, down   int // pixels of a colour sample
	smooth, spread bool
	sums           []int32
	cb, cr         []uint8
}

func newUpsampler(m *image.YCbCr, r image.Rectangle) *upsampler {
	u := &upsampler{m: m, from: r.Min.X - m.Rect.Min.X, across: 1, down: 1}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		u.across = 2
	case image.YCbCrSubsampleRatio420:
		u.across, u.down = 2, 2
	case image.YCbCrSubsampleRatio440:
		u.down = 2
	case image.YCbCrSubsampleRatio411:
		u.across = 4
	case image.YCbCrSubsampleRatio410:
		u.across, u.down = 4, 2
	}
	u.width = (m.Rect.Dx() + u.across - 1) / u.across
	u.height = (m.Rect.Dy() + u.down - 1) / u.down
	u.spread = u.across == 2 && u.width > 2               // colour is interpolated between columns
	u.smooth = u.down == 2 && (u.across == 1 || u.spread) // and between rows
	n := r.Dx()
	u.sums = make([]int32, n/u.across+4)
	u.cb, u.cr = make([]uint8, n+2), make([]uint8, n+2)
	return u
}

// rows returns Cb and Cr of row y, from the first column on, until the next call.
func (u *upsampler) rows(y int) (cb, cr []uint8) {
	if u.across == 1 && !u.smooth {
		at := y/u.down*u.m.CStride + u.from
		return u.m.Cb[at:], u.m.Cr[at:]
	}
	return u.row(u.cb, u.m.Cb, y), u.row(u.cr, u.m.Cr, y)
}

func (u *upsampler) row(out, plane []uint8, y int) []uint8 {
	line := func(i int) []uint8 { return plane[min(max(i, 0), u.height-1)*u.m.CStride:][:u.width] }
	near := line(y / u.down)
	n := len(out) - 2
	if !u.spread && !u.smooth {
		for x := range n {
			out[x] = near[(u.from+x)/u.across]
		}
		return out
	}
	// A sample counts 3/4 in its own rows and columns and 1/4 in the next ones; the roundings alternate.
	far, below := near, y%u.down
	if u.smooth {
		far = line(y/u.down + 2*below - 1)
	}
	if u.across == 1 {
		near, far = near[u.from:], far[u.from:]
		for x := range n {
			out[x] = uint8((3*int32(near[x]) + int32(far[x]) + 1 + int32(below)) >> 2)
		}
		return out
	}
	first := u.from/2 - 1 // column of the first sum
	for i := range u.sums {
		c := min(max(first+i, 0), u.width-1)
		if u.sums[i] = int32(near[c]); u.smooth {
			u.sums[i] = 3*int32(near[c]) + int32(far[c])
		}
	}
	left, right, shift := int32(1), int32(2), 2
	if u.smooth {
		left, right, shift = 8, 7, 4
	}
	skip := u.from % 2
	for i, x := 1, -skip; x < n; i, x = i+1, x+2 {
		own := 3 * u.sums[i]
		if x >= 0 {
			out[x] = uint8((own + u.sums[i-1] + left) >> shift)
		}
		out[x+1] = uint8((own + u.sums[i+1] + right) >> shift)
	}
	return out
}

// webpColour is a lossy WebP as libwebp shows it. webp.Decode returns video range (ITU-R BT.601, black is 16) in
// types that mean JPEG's range (black is 0).
type webpColour struct {
	*image.YCbCr
	alpha *image.NYCbCrA // nil: opaque
}

func (m webpColour) crop(r image.Rectangle) *image.RGBA {
	rgb := image.NewNRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	w, h := m.Rect.Dx(), m.Rect.Dy()
	cb, cr := make([]uint8, w), make([]uint8, w)
	for y := range r.Dy() {
		row := r.Min.Y - m.Rect.Min.Y + y
		far := min(max(row/2-1+row%2*2, 0), (h+1)/2-1)
		webpRow(cb, m.Cb[row/2*m.CStride:], m.Cb[far*m.CStride:])
		webpRow(cr, m.Cr[row/2*m.CStride:], m.Cr[far*m.CStride:])
		for x := range r.Dx() {
			at := r.Min.X - m.Rect.Min.X + x
			l := int32(m.Y[row*m.YStride+at]) * 19077 >> 8
			b, c := int32(cb[at]), int32(cr[at])
			p := rgb.Pix[y*rgb.Stride+4*x:][:4:4]
			p[0] = clamp((l + c*26149>>8 - 14234) >> 6)
			p[1] = clamp((l - b*6419>>8 - c*13320>>8 + 8708) >> 6)
			p[2] = clamp((l + b*33050>>8 - 17685) >> 6)
			p[3] = 255
			if m.alpha != nil {
				p[3] = m.alpha.A[m.alpha.AOffset(r.Min.X+x, r.Min.Y+y)]
			}
		}
	}
	if m.alpha == nil {
		return &image.RGBA{Pix: rgb.Pix, Stride: rgb.Stride, Rect: rgb.Rect}
	}
	out := image.NewRGBA(rgb.Rect)
	draw.Draw(out, out.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Rect, rgb, image.Point{}, draw.Over)
	return out
}

// webpRow interpolates a row of colour between its own samples and the ones of the next row: 9, 3, 3 and 1
// sixteenths.
func webpRow(out, near, far []uint8) {
	w := len(out)
	edge := func(i int) uint8 { return uint8((3*int32(near[i]) + int32(far[i]) + 2) >> 2) }
	out[0] = edge(0)
	for i := 1; i <= (w-1)/2; i++ {
		a, b, c, d := int32(near[i-1]), int32(near[i]), int32(far[i-1]), int32(far[i])
		sum := a + b + c + d + 8
		out[2*i-1] = uint8(((sum+2*(b+c))>>3 + a) >> 1)
		out[2*i] = uint8(((sum+2*(a+d))>>3 + b) >> 1)
	}
	if w%2 == 0 {
		out[w-1] = edge(w/2 - 1)
	}
}
