package images

import (
	"fmt"
	"slices"
	"strings"
)

// part is one set before its images are decoded.
type part struct {
	classes []string
	named   bool // the class names come from the data set and are not just numbers
	samples []sample
}

// newPart makes a part of the images with a class: class(i) is the class of
// files[i], or "".
func newPart(files []*file, class func(i int) string) *part {
	labels := map[string]int32{}
	p := &part{named: true}
	n := 0
	for i := range files {
		if c := class(i); c != "" && files[i].foreign == "" {
			n++
			if _, ok := labels[c]; !ok {
				labels[c] = 0
				p.classes = append(p.classes, c)
			}
		}
	}
	slices.Sort(p.classes)
	for i, c := range p.classes {
		labels[c] = int32(i)
	}
	p.samples = make([]sample, 0, n)
	for i, f := range files {
		if c := class(i); c != "" && f.foreign == "" {
			p.samples = append(p.samples, sample{f, 0, labels[c]})
		}
	}
	// Files are in the order of whole paths, in which folders "a" and "a-b" may
	// interleave.
	slices.SortStableFunc(p.samples, func(a, b sample) int { return int(a.label - b.label) })
	return p
}

// checkForeign returns an error if a class has only images of formats that are not read: it would vanish.
func (p *part) checkForeign(files []*file, class func(i int) string) error {
	for i, f := range files {
		if c := class(i); f.foreign != "" && c != "" && !slices.Contains(p.classes, c) {
			return fmt.Errorf("images: %w: class %.80q has only images %s; the first is %s", ErrClasses, c, unreadable(f.foreign), f.where())
		}
	}
	return nil
}

// checkClasses returns an error unless training and validation set (val may be nil)
// have the same two or more classes, equal to want if that is not empty.
func checkClasses(path string, train, val *part, want []string) error {
	if len(want) > 0 {
		if err := train.match(want, path, "the classes asked for"); err != nil {
			return err
		}
	}
	if len(train.classes) < 2 {
		return fmt.Errorf("images: %s: %w: only %.80q; a classifier needs two or more class folders", path, ErrClasses, train.classes[0])
	}
	if val != nil {
		return val.match(train.classes, "the validation set", "the training set")
	}
	return nil
}

// match puts the part's classes in the order of want. A part that only numbers its
// classes gets the names. Otherwise the error lists the classes that differ.
func (p *part) match(want []string, own, other string) error {
	if !p.named && len(p.classes) == len(want) {
		p.classes = want
		return nil
	}
	var only []string
	for _, side := range []struct {
		name         string
		has, without []string
	}{{own, p.classes, want}, {other, want, p.classes}} {
		var extra []string
		for _, c := range side.has {
			if !slices.Contains(side.without, c) {
				extra = append(extra, fmt.Sprintf("%.30q", c))
			}
		}
		if n := len(extra); n > 5 {
			extra = append(extra[:5], fmt.Sprintf("and %d more", n-5))
		}
		if len(extra) > 0 {
			only = append(only, fmt.Sprintf("only %s has %s", side.name, strings.Join(extra, ", ")))
		}
	}
	if len(only) == 0 {
		for i := range p.samples {
			p.samples[i].label = int32(slices.Index(want, p.classes[p.samples[i].label]))
		}
		p.classes = want
		return nil
	}
	return fmt.Errorf("images: %w: the classes of %s differ from %s: %s; make the class folders the same", ErrClasses, own, other, strings.Join(only, "; "))
}

// subset keeps n samples, the same number of each class.
func (p *part) subset(n int, seed uint64) error {
	classes := len(p.classes)
	if n < classes {
		return fmt.Errorf("images: a balanced subset of %d images of %d classes would leave classes without any; ask for more", n, classes)
	}
	var err error
	chosen, _ := choose(p.samples, classes, seed, forSubset, func(class, have int) int {
		want := n / classes
		if class < n%classes {
			want++
		}
		if have < want && err == nil {
			err = fmt.Errorf("images: class %.80q has %d training images, but a balanced subset of %d needs %d of it; ask for fewer", p.classes[class], have, n, want)
		}
		return min(want, have)
	})
	if err != nil {
		return err
	}
	p.samples = chosen
	return nil
}
