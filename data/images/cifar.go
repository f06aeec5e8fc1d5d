package images

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// CIFAR's original binary layout: records of label bytes (CIFAR-100: coarse,
// then fine) and the planes (3,32,32) of an image, red first.
const (
	cifarSize     = 32
	cifarPixels   = 3 * cifarSize * cifarSize
	cifar10Bytes  = 1 + cifarPixels
	cifar100Bytes = 2 + cifarPixels
	coarseClasses = 20
	maxNamesBytes = 1 << 16
	maxClasses    = 256 // a label is a byte
)

// cifar lists the records of the .bin files of t as training and test set.
// Either may be nil.
func cifar(t *tree) (train, test *part, err error) {
	var bins, names []*file
	for _, f := range t.files {
		switch {
		case isBinary(f.name):
			bins = append(bins, f)
		case path.Base(f.name) == cifar10Names, path.Base(f.name) == cifar100Names:
			names = append(names, f)
		}
	}
	if len(names) > 1 {
		return nil, nil, fmt.Errorf("images: %s: %w: class names in %s and in %s: keep CIFAR-10 and CIFAR-100 apart", t.path, ErrClasses, names[0].name, names[1].name)
	}
	record := int64(cifar10Bytes)
	var classes []string
	if len(names) == 1 {
		if path.Base(names[0].name) == cifar100Names {
			record = cifar100Bytes
		}
		if classes, err = readNames(names[0]); err != nil {
			return nil, nil, err
		}
	} else if bins[0].size%cifar10Bytes != 0 && bins[0].size%cifar100Bytes == 0 {
		record = cifar100Bytes
	}
	named := classes != nil
	if !named {
		classes = numbers(map[int64]int{cifar10Bytes: 10, cifar100Bytes: 100}[record])
	}
	layout := &records{bytes: record}
	for _, f := range bins {
		f.records = layout
		if err := t.many(f.size / record); err != nil {
			return nil, nil, err
		}
		to := &train
		if strings.HasPrefix(path.Base(f.name), "test") {
			to = &test
		}
		if *to == nil {
			*to = &part{classes: classes, named: named}
		}
		if err := (*to).addRecords(f); err != nil {
			return nil, nil, err
		}
	}
	return train, test, nil
}

// readNames reads class names, one a line.
func readNames(f *file) ([]string, error) {
	if f.size > maxNamesBytes {
		return nil, fmt.Errorf("images: %s: %w: %d bytes of class names", f.where(), ErrTooLarge, f.size)
	}
	text := make([]byte, f.size)
	if err := f.read(text, 0); err != nil {
		return nil, err
	}
	names := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(names) < 2 || len(names) > maxClasses {
		return nil, fmt.Errorf("images: %s: %w: it has %d names; a CIFAR set has from 2 to %d, one to a line", f.where(), ErrClasses, len(names), maxClasses)
	}
	return names, nil
}

func numbers(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// addRecords checks the labels of a file and appends its records.
func (p *part) addRecords(f *file) error {
	layout := "CIFAR-10"
	if f.records.bytes == cifar100Bytes {
		layout = "CIFAR-100"
	}
	if f.size == 0 || f.size%f.records.bytes != 0 {
		return fmt.Errorf("images: %s: %w: %d bytes are no whole number of %s records of %d bytes; the file is truncated or of another layout: download it again",
			f.where(), ErrCorrupt, f.size, layout, f.records.bytes)
	}
	const chunk = 256 // records read at a time
	n := f.size / f.records.bytes
	if n > maxSamples {
		return fmt.Errorf("images: %s: %w: %d records; at most %d", f.where(), ErrTooLarge, n, maxSamples)
	}
	mislabelled := func(record int64, what string, label, classes int) error {
		return fmt.Errorf("images: %s: %w: record %d has %s %d, but there are %d classes; the file is mislabelled or of another layout",
			f.where(), ErrCorrupt, record, what, label, classes)
	}
	p.samples = slices.Grow(p.samples, int(n))
	buf := make([]byte, min(n, chunk)*f.records.bytes)
	for first := int64(0); first < n; first += chunk {
		buf = buf[:min(n-first, chunk)*f.records.bytes]
		if err := f.read(buf, first*f.records.bytes); err != nil {
			return err
		}
		for i, record := first, buf; len(record) > 0; i, record = i+1, record[f.records.bytes:] {
			label, coarse := int(record[f.records.bytes-cifarPixels-1]), int(record[0])
			if label >= len(p.classes) {
				return mislabelled(i, "label", label, len(p.classes))
			}
			if f.records.bytes == cifar100Bytes && coarse >= coarseClasses {
				return mislabelled(i, "coarse label", coarse, coarseClasses)
			}
			p.samples = append(p.samples, sample{f, int32(i), int32(label)})
		}
	}
	return nil
}
