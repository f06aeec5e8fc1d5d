package images

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/internal/delimited"
	"github.com/bdia-go/bdia/internal/textfile"
)

const maxTableBytes = 1 << 26 // of a table of labels

// Names of columns in tables of labels, without spaces and punctuation. The earliest of labelColumns is taken.
var (
	imageColumns = strings.Fields("id imageid imageids filename filenames file image images img path filepath imagepath imgpath imagename imgname imagefile fname name photo")
	labelColumns = strings.Fields("label labels class classname target category categoryname labelname classlabel classid categoryid labelid y")
)

// flat makes sets of images that lie in no class folders, by tables of labels beside them.
func (l *layout) flat() (train, val *part, err error) {
	var used [2]*file // for training, and held out
	var parts [2]*part
	names := namesOf(l.images)
	for _, f := range l.tables {
		classes, err := l.readTable(f, names)
		if err != nil {
			return nil, nil, err
		}
		if classes == nil {
			continue
		}
		k := 0
		if r := roleOfFile(path.Base(f.name), tableEndings); r > trainRole {
			k = 1
		}
		if used[k] != nil {
			return nil, nil, fmt.Errorf("images: %s: %w: both %s and %s have labels of the images; keep one of them", l.path, ErrClasses, used[k].name, f.name)
		}
		used[k] = f
		if parts[k], err = l.part(func(i int) string { return classes[i] }); err != nil {
			return nil, nil, err
		}
	}
	if used[0] == nil && used[1] == nil {
		return l.unlabelled()
	}
	labelled := map[*file]bool{}
	var files []string
	for k, p := range parts {
		if p != nil {
			for _, s := range p.samples {
				labelled[s.file] = true
			}
			files = append(files, used[k].name)
		}
	}
	l.note(fmt.Sprintf("The labels are those in %s.", strings.Join(files, " and ")))
	for _, f := range l.images {
		if !labelled[f] && f.foreign == "" {
			l.leave("images", "without a label in "+strings.Join(files, " and "), f.where())
		}
	}
	l.tables = slices.DeleteFunc(l.tables, func(f *file) bool { return slices.Contains(files, f.name) })
	return parts[0], parts[1], nil
}

// unlabelled is the end of flat if there is no table.
func (l *layout) unlabelled() (train, val *part, err error) {
	if len(l.dirs[0]) > 0 {
		if r, _ := roleOf(l.dirs[0][0]); r == noRole { // one class
			train, err = l.part(func(i int) string { return l.dirs[i][0] })
			return train, nil, err
		}
	}
	first := l.images[max(0, slices.IndexFunc(l.dirs, func(d []string) bool { // a set to learn from has labels, if any has
		return len(d) > 0 && strings.HasPrefix(strings.ToLower(d[0]), "train")
	}))]
	help := "make a folder for each class and move its images there, or put a table labels.csv with the columns filename and label beside them"
	if class := strings.TrimRight(path.Base(first.name[:len(first.name)-len(path.Ext(first.name))]), "0123456789 ._-()"); class != "" {
		help += fmt.Sprintf("; %s goes into %s/, for example", path.Base(first.name), class)
	}
	return nil, nil, fmt.Errorf("images: %s: %w: the images lie in no class folders, for example %s; %s", l.path, ErrClasses, first.where(), help)
}

// namesOf finds images by their paths, names, and names without ending; -1: there are several.
func namesOf(images []*file) map[string]int {
	names := map[string]int{}
	put := func(name string, i int) {
		if was, ok := names[name]; ok && was != i {
			i = -1
		}
		names[name] = i
	}
	for i, f := range images {
		base := path.Base(f.name)
		put(base, i)
		put(strings.TrimSuffix(base, path.Ext(base)), i)
	}
	for i, f := range images { // whole paths are unique
		names[f.name] = i
	}
	return names
}

// readTable returns the class of each image by a table, or nil if f is no table of labels.
func (l *layout) readTable(f *file, names map[string]int) ([]string, error) {
	if strings.Contains(strings.ToLower(path.Base(f.name)), "submission") {
		return nil, nil
	}
	b, err := f.bytes(maxTableBytes)
	if err != nil {
		return nil, err
	}
	text := textfile.New(bytes.NewReader(b), textfile.Options{})
	r := delimited.NewReader(func() (string, error) {
		line, err := text.Line()
		return string(textfile.Trim(line)), err
	}, textfile.MaxLine)
	commas := []byte(",;\t|")
	if r.Declared() {
		commas = []byte{r.Comma}
	}
	head, _ := r.Peek(1, 1) // an error comes again, if it is a table
	image, label := -1, -1
	for _, r.Comma = range commas {
		if names := delimited.Rows(head, r.Comma); len(names) > 0 {
			image, label = columns(names[0])
		}
		if image >= 0 && label >= 0 {
			break
		}
	}
	if image < 0 || label < 0 {
		return nil, nil
	}
	classes := make([]string, len(l.images))
	found := false
	for row := 1; ; row++ {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		fields, place := record.Fields, fmt.Sprintf("%s, line %d", f.where(), record.Line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("images: %s: %w: %v", f.where(), ErrCorrupt, err)
		case row == 1:
		case record.Open:
			l.leave("rows", "with a quotation mark that has no end", place)
		case record.Long:
			l.leave("rows", "longer than 1 MiB", place)
		case len(fields) <= max(image, label) || strings.TrimSpace(fields[label]) == "":
			l.leave("rows", "without a label", place)
		default:
			class := strings.TrimSpace(fields[label])
			switch i, ok := lookUp(names, path.Dir(f.name), fields[image]); {
			case !ok:
				l.leave("rows", "naming a missing image", fmt.Sprintf("%s: %.80q", place, fields[image]))
			case i < 0:
				l.leave("rows", "naming an image of which there are several", fmt.Sprintf("%s: %.80q", place, fields[image]))
			case classes[i] != "" && classes[i] != class:
				l.leave("rows", "with another label than an earlier one", fmt.Sprintf("%s: %.80q", place, fields[image]))
			default:
				classes[i], found = strings.Clone(class), true
			}
		}
	}
	if !found {
		return nil, nil
	}
	return classes, nil
}

// columns finds the columns of images and labels in a header, or -1.
func columns(header []string) (image, label int) {
	image, label = -1, -1
	for i, h := range header {
		header[i] = strings.Map(func(c rune) rune {
			if strings.ContainsRune(" _-.\"'\r", c) {
				return -1
			}
			return c
		}, strings.ToLower(h))
	}
	for _, name := range imageColumns {
		if image < 0 {
			image = slices.Index(header, name)
		}
	}
	for _, name := range labelColumns {
		if label < 0 {
			label = slices.Index(header, name)
		}
	}
	if label < 0 && image >= 0 && len(header) == 2 { // id,breed
		label = 1 - image
	}
	return image, label
}

// lookUp finds an image by what a table calls it: a path from anywhere above, a name, or a name without ending.
func lookUp(names map[string]int, dir, id string) (int, bool) {
	id = path.Clean(strings.ReplaceAll(strings.TrimSpace(id), `\`, "/"))
	if i, ok := names[path.Join(dir, id)]; ok && strings.Contains(path.Join(dir, id), "/") {
		return i, true
	}
	for {
		if i, ok := names[id]; ok {
			return i, true
		}
		_, rest, ok := strings.Cut(id, "/")
		if !ok {
			return 0, false
		}
		id = rest
	}
}
