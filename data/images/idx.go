package images

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"path"
	"slices"
	"strings"
)

// mnist lists the images of MNIST's files, which have the layout idx: pairs of a file of grey images, named
// idx3-ubyte, and one of labels, named idx1-ubyte, perhaps compressed by gzip. Either set may be nil.
func (t *tree) mnist(maxMemory int64) (train, test *part, err error) {
	pixels, labels := map[string]*file{}, map[string]*file{} // by what both names share
	var keys []string
	for _, f := range t.files {
		name := strings.TrimSuffix(strings.ToLower(f.name), ".gz")
		kind := pixels
		if strings.HasSuffix(name, "idx1-ubyte") {
			kind = labels
		} else if !strings.HasSuffix(name, "idx3-ubyte") {
			continue
		}
		key := strings.NewReplacer("idx1", "", "idx3", "", "images", "", "labels", "").Replace(name)
		if kind[key] != nil { // compressed and not
			t.leave("files", "found a second time", f.where())
			continue
		}
		if kind[key] = f; !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	most := 0
	for _, key := range keys {
		p, l := pixels[key], labels[key]
		if p == nil || l == nil {
			one := p
			if p == nil {
				one = l
			}
			return nil, nil, fmt.Errorf("images: %s: %w: a file of images (idx3-ubyte) and one of labels (idx1-ubyte) belong together, and the other one is missing", one.where(), ErrNoImages)
		}
		to := &train
		if base := path.Base(key); strings.Contains(base, "t10k") || strings.Contains(base, "test") {
			to = &test
		}
		if *to != nil {
			return nil, nil, fmt.Errorf("images: %s: %w: several sets of MNIST's layout, the second in %s; keep one of them in the folder", t.path, ErrClasses, p.name)
		}
		*to = &part{}
		last, err := (*to).addIdx(t, p, l, maxMemory)
		if err != nil {
			return nil, nil, err
		}
		most = max(most, last)
	}
	for _, p := range []*part{train, test} {
		if p != nil {
			p.classes = numbers(most + 1)
		}
	}
	return train, test, nil
}

// addIdx appends the images of a pair of files and returns the largest label.
func (p *part) addIdx(t *tree, pixels, labels *file, maxMemory int64) (most int, err error) {
	for _, f := range []*file{pixels, labels} {
		if strings.HasSuffix(strings.ToLower(f.name), ".gz") {
			if err := f.gunzip(maxMemory); err != nil {
				return 0, err
			}
		}
	}
	corrupt := func(f *file, format string, args ...any) error {
		return fmt.Errorf("images: %s: %w: %s; download it again", f.where(), ErrCorrupt, fmt.Sprintf(format, args...))
	}
	var head [16]byte
	if err := pixels.read(head[:], 0); err != nil {
		return 0, err
	}
	number := func(i int) int64 { return int64(binary.BigEndian.Uint32(head[4*i:])) }
	n, h, w := number(1), number(2), number(3)
	switch {
	case number(0) != 0x803:
		return 0, corrupt(pixels, "it does not begin as a file of images does")
	case n < 1 || h < 1 || w < 1 || h > maxSize || w > maxSize || n > maxSamples || pixels.size != 16+n*h*w:
		return 0, corrupt(pixels, "%d bytes are not %d images of %d×%d", pixels.size, n, w, h)
	}
	if err := labels.read(head[:8], 0); err != nil {
		return 0, err
	}
	if number(0) != 0x801 || number(1) != n || labels.size != 8+n {
		return 0, corrupt(labels, "it does not have a label for each of %d images", n)
	}
	if err := t.many(n); err != nil {
		return 0, err
	}
	all := make([]byte, n)
	if err := labels.read(all, 8); err != nil {
		return 0, err
	}
	f := *pixels
	f.offset, f.size, f.records = f.offset+16, n*h*w, &records{h * w, image.Pt(int(w), int(h))}
	p.samples = slices.Grow(p.samples, len(all))
	for i, label := range all {
		p.samples = append(p.samples, sample{&f, int32(i), int32(label)})
	}
	return int(slices.Max(all)), nil
}

// gunzip unpacks a compressed file into memory.
func (f *file) gunzip(most int64) error {
	packed, err := f.bytes(most)
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("images: %s: %w: %v", f.where(), ErrCorrupt, err)
	}
	b, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil {
		return fmt.Errorf("images: %s: %w: %v", f.where(), ErrCorrupt, err)
	}
	if int64(len(b)) > most {
		return fmt.Errorf("images: %s: %w: it unpacks to more than %d bytes of memory; unpack it on disk, or allow more memory", f.where(), ErrTooLarge, most)
	}
	f.place, f.packed, f.offset, f.size = &place{f.root, bytes.NewReader(b)}, 0, 0, int64(len(b))
	return nil
}
