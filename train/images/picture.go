package images

import (
	"fmt"
	"strings"

	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/data/tally"
	"github.com/bdia-go/bdia/train"
)

// unbalanced is how many times as many images of one class as of another are worth a note.
const unbalanced = 10

// Picture describes the images, which are open, with up to so many of the training images.
func (t *Task) Picture(samples int) (train.Picture, error) {
	learned, held := t.Set(true), t.Set(false)
	if learned == nil {
		return train.Picture{}, fmt.Errorf("train: the training images are not open yet; call Open before")
	}
	var p train.Picture
	used, bytes := int64(0), int64(0)
	for _, part := range []struct {
		name string
		set  *images.Set
	}{{"train", learned}, {"val", held}} {
		if part.set == nil {
			continue
		}
		n := int64(part.set.Len())
		p.Parts = append(p.Parts, train.Part{Name: part.name, Samples: n, Unit: "images", Losses: n})
		used, bytes = used+n, bytes+part.set.Bytes()
	}
	read := used + int64(t.set.Skipped) + t.set.Idle()
	for _, u := range t.set.Unused() {
		read += u.Images
		p.LeftOut = append(p.LeftOut, tally.LeftOut{What: "images", Reason: "in a set that is not used", Count: u.Images, First: u.Name})
		p.Notes = append(p.Notes, fmt.Sprintf("The folder %s, of %d images, is neither learned nor measured.", u.Name, u.Images))
	}
	for _, l := range t.set.LeftOut() {
		p.LeftOut = append(p.LeftOut, l)
		if l.What == "images" && !l.Kept {
			read += l.Count
		}
	}
	if n := t.set.Skipped; n > 0 {
		p.LeftOut.Count(int64(n), "images", "that cannot be decoded", strings.TrimPrefix(t.set.Corrupt[0], "images: "), false)
	}
	p.LeftOut.Count(t.set.Idle(), "images", "beyond the balanced subset", "", false)
	p.Counts = []train.Count{{What: "files", Read: t.set.Files(), Used: t.set.FilesUsed()}, {What: "images", Read: read, Used: used}}
	p.Classes = classesOf(learned, held)
	p.Lengths = sizesOf(learned)
	for i := range min(samples, learned.Len()) {
		p.Samples = append(p.Samples, t.sampleOf(learned, i*learned.Len()/samples))
	}
	p.Notes = append(append(t.set.Notes(), p.Notes...), t.remarks(learned, held, p.Classes, bytes)...)
	return p, nil
}

// classesOf counts the images of each class.
func classesOf(learned, held *images.Set) []train.Class {
	var all []train.Class
	for _, name := range learned.Classes() {
		all = append(all, train.Class{Name: name})
	}
	for i := range learned.Len() {
		all[learned.Label(i)].Train++
	}
	if held != nil {
		for i := range held.Len() {
			all[held.Label(i)].Val++
		}
	}
	return all
}

// sizesOf returns the widths and heights of the images as stored.
func sizesOf(s *images.Set) []train.Lengths {
	widths, heights := make([]int, s.Len()), make([]int, s.Len())
	for i := range s.Len() {
		widths[i], heights[i] = s.Stored(i)
	}
	return []train.Lengths{train.LengthsOf("width", "pixels", widths), train.LengthsOf("height", "pixels", heights)}
}

// sampleOf shows image i: its size as stored, what the model sees of it, and its class, which is learned.
func (t *Task) sampleOf(s *images.Set, i int) train.Sample {
	w, h := s.Stored(i)
	seen := fmt.Sprintf("%d×%d pixels", w, h)
	if w != h {
		seen += fmt.Sprintf(", its centre of %d×%[1]d", min(w, h))
	}
	if n := s.Size(); min(w, h) != n {
		seen += fmt.Sprintf(", scaled to %d×%[1]d", n)
	}
	return train.Sample{Place: s.Place(i), Pieces: []train.Piece{{Text: seen + " → "}, {Text: s.Classes()[s.Label(i)], Counts: true}}}
}

// imagesAre begins a sentence on n images.
func imagesAre(n int) string {
	if n == 1 {
		return "1 image is"
	}
	return fmt.Sprintf("%d images are", n)
}

// remarks are what a user should know of the images.
func (t *Task) remarks(learned, held *images.Set, classes []train.Class, bytes int64) (notes []string) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	turned, animated, transparent := learned.Kinds()
	if held != nil {
		a, b, c := held.Kinds()
		turned, animated, transparent = turned+a, animated+b, transparent+c
	}
	if turned > 0 {
		note("%s turned upright by EXIF orientation.", imagesAre(turned))
	}
	if animated > 0 {
		note("%s animated; the first picture is taken.", imagesAre(animated))
	}
	if transparent > 0 {
		note("%s transparent in places, and shown on white.", imagesAre(transparent))
	}
	least, most := classes[0], classes[0]
	for _, c := range classes {
		if c.Train < least.Train {
			least = c
		}
		if c.Train > most.Train {
			most = c
		}
	}
	if most.Train >= unbalanced*max(least.Train, 1) {
		note("The classes are unbalanced: %d images of %s, %d of %s.", most.Train, most.Name, least.Train, least.Name)
	}
	switch {
	case held == nil:
		note("No images are held out, so nothing tells what the model makes of new ones.")
	case !t.set.OwnVal():
		note("The images held out are %d of %d, drawn from each class.", held.Len(), held.Len()+learned.Len())
	}
	n := learned.Norm()
	note("Pixels are normalised with means %.3f, %.3f, %.3f and standard deviations %.3f, %.3f, %.3f.",
		n.Mean[0], n.Mean[1], n.Mean[2], n.Std[0], n.Std[1], n.Std[2])
	if bytes >= 1e6 {
		note("The decoded images take %.1f MB of memory beside the model's.", float64(bytes)/1e6)
	}
	if learned.Bytes() == 0 {
		note("The training images are too many for the memory allowed; they are decoded whenever they are read.")
	}
	return append(notes, t.unchecked()...)
}
