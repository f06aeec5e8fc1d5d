package images

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// SetsError is the error of folders that may be sets or classes: all of them hold folders of the same names.
// ErrClasses is wrapped in it.
type SetsError struct {
	Path    string
	Folders []string // the first ones
	Inside  []string // folders in each of them
}

// Error names the folders and the ways out.
func (e *SetsError) Error() string {
	return fmt.Sprintf("images: %s: %v: the folders %s all hold the folders %s: if they are sets, name them train and val, or give one as the training set and another as the validation set; if they are classes, move their images out of %[4]s",
		e.Path, ErrClasses, quoted(e.Folders), quoted(e.Inside))
}

// Unwrap returns ErrClasses.
func (e *SetsError) Unwrap() error { return ErrClasses }

// quoted lists at most five names.
func quoted(names []string) string {
	var all []string
	for i, n := range names {
		if i == 5 {
			all = append(all, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		all = append(all, fmt.Sprintf("%.30q", n))
	}
	return strings.Join(all, ", ")
}

// layout is the images of a tree by their folders.
type layout struct {
	*tree
	common string // folders above all images, with a slash at the end
	images []*file
	dirs   [][]string // folders of each image, without the common ones
	swaps  bool       // the folders of sets lay in the class folders
}

// classFolders lists the images of t by their folders, as training and validation set. If t holds only one set, one
// of them is nil.
func (t *tree) classFolders() (train, val *part, err error) {
	l := &layout{tree: t}
	readable := false
	l.images, l.dirs = make([]*file, 0, len(t.files)), make([][]string, 0, len(t.files))
	in, dirs := "", []string(nil) // images of one folder share their folders
	for _, f := range t.files {
		if !f.image() {
			continue
		}
		l.images = append(l.images, f)
		if dir := f.name[:strings.LastIndexByte(f.name, '/')+1]; dir != in || dirs == nil {
			in, dirs = dir, foldersOf(f.name)
		}
		l.dirs = append(l.dirs, dirs)
		if readable = readable || f.foreign == ""; f.foreign != "" {
			t.leave("images", unreadable(f.foreign), f.where())
		}
	}
	if !readable {
		return nil, nil, t.noImages("it has no PNG, JPEG or other image files in class folders and no CIFAR .bin files")
	}
	if len(l.images) > maxSamples {
		return nil, nil, fmt.Errorf("images: %s: %w: %d images; at most %d", t.path, ErrTooLarge, len(l.images), maxSamples)
	}
	for {
		first := shared(l.dirs, 2)
		if first == "" {
			break
		}
		l.common += first + "/"
		drop(l.dirs)
	}
	return l.sets()
}

// foldersOf returns the folders of a slash-separated path.
func foldersOf(name string) []string {
	p := strings.Split(name, "/")
	return slices.Clip(p[:len(p)-1])
}

// shared returns the first folder of all dirs if it is the same one and each has at least so many; else "".
func shared(dirs [][]string, least int) string {
	for _, d := range dirs {
		if len(d) < least || d[0] != dirs[0][0] {
			return ""
		}
	}
	return dirs[0][0]
}

// drop takes the first folder away.
func drop(dirs [][]string) {
	for i := range dirs {
		dirs[i] = dirs[i][1:]
	}
}

// top is a folder at the top of a layout.
type top struct {
	name   string
	role   role
	exact  bool            // the role's word is all of the name
	subs   map[string]bool // folders in it
	direct int64           // images in it that are in no folder below
	images []int           // all of its images
}

func (l *layout) tops() []*top {
	byName := map[string]*top{}
	for i, d := range l.dirs {
		t := byName[d[0]]
		if t == nil {
			t = &top{name: d[0], subs: map[string]bool{}}
			t.role, t.exact = roleOf(t.name)
			byName[t.name] = t
		}
		if len(d) > 1 {
			t.subs[d[1]] = true
		} else {
			t.direct++
		}
		t.images = append(t.images, i)
	}
	all := slices.Collect(maps.Values(byName))
	slices.SortFunc(all, func(a, b *top) int { return strings.Compare(a.name, b.name) })
	return all
}

// sets decides whether the folders at the top are sets or classes.
func (l *layout) sets() (train, val *part, err error) {
	inRoot := slices.IndexFunc(l.dirs, func(d []string) bool { return len(d) == 0 })
	if inRoot >= 0 {
		if slices.ContainsFunc(l.dirs, func(d []string) bool { return len(d) > 0 }) {
			return nil, nil, stray(l.images[inRoot])
		}
		return l.flat()
	}
	l.unrepeat()
	tops := l.tops()
	if l.swap(tops) {
		tops = l.tops()
	}
	roles, deep := 0, 0
	for _, t := range tops {
		if t.role != noRole {
			roles++
		}
		if len(t.subs) > 0 {
			deep++
		}
	}
	switch {
	case deep == 0 && (len(tops) == 1 || roles == len(tops)):
		return l.flat()
	case areSets(tops):
		return l.splits(tops)
	case deep == len(tops) && alike(tops):
		e := &SetsError{Path: l.path, Inside: slices.Sorted(maps.Keys(tops[0].subs))}
		for _, t := range tops {
			e.Folders = append(e.Folders, t.name)
		}
		return nil, nil, e
	}
	for _, t := range tops {
		if t.exact && len(t.subs) > 1 {
			return nil, nil, fmt.Errorf("images: %s: %w: %s holds class folders as a set does, but what lies beside it does not: give %[3]s alone, or, if it is a class, move its images out of its folders",
				l.path, ErrClasses, t.name)
		}
	}
	train, err = l.part(func(i int) string { return l.dirs[i][0] })
	if err == nil {
		l.imageless(l.common, train.classes)
	}
	return train, nil, err
}

// unrepeat turns train/train/class into train/class.
func (l *layout) unrepeat() {
	for _, t := range l.tops() {
		if t.direct > 0 || len(t.subs) != 1 || !t.subs[t.name] {
			continue
		}
		for _, i := range t.images {
			l.dirs[i] = l.dirs[i][1:]
		}
	}
}

func stray(f *file) error {
	return fmt.Errorf("images: %s: %w: the image lies in no class folder; the layout is class/image.png", f.where(), ErrClasses)
}

// swap turns class/train/image into train/class/image, and reports whether it did.
func (l *layout) swap(tops []*top) bool {
	found := map[role]bool{}
	for _, t := range tops {
		if t.direct > 0 {
			return false
		}
		for s := range t.subs {
			r, exact := roleOf(s)
			if !exact {
				return false
			}
			found[r] = true
		}
	}
	if !found[trainRole] || len(found) < 2 || !slices.ContainsFunc(tops, func(t *top) bool { return t.role == noRole }) {
		return false
	}
	for i, d := range l.dirs {
		l.dirs[i] = append([]string{d[1], d[0]}, d[2:]...)
	}
	l.swaps = true
	l.note("Each class folder holds folders of the sets.")
	return true
}

// areSets reports whether the folders at the top are sets by their names and by what they hold.
func areSets(tops []*top) bool {
	roles, exact, deep, overlap := 0, 0, 0, false
	for i, t := range tops {
		if t.role != noRole {
			roles++
		}
		if t.exact {
			exact++
		}
		if len(t.subs) == 0 {
			continue
		}
		deep++
		for _, o := range tops[:i] {
			overlap = overlap || overlaps(t, o) && (t.exact || o.exact || t.role != noRole && o.role != noRole)
		}
	}
	switch {
	case len(tops) < 2 || deep == 0 || roles == 0:
		return false
	case exact == len(tops), roles == len(tops) && deep == 1:
		return true
	}
	return overlap
}

// overlaps reports whether two folders hold folders of the same names, at least half of the smaller one's.
func overlaps(a, b *top) bool {
	both := 0
	for s := range a.subs {
		if b.subs[s] {
			both++
		}
	}
	return both > 0 && 2*both >= min(len(a.subs), len(b.subs))
}

// alike reports two or more folders that all hold the same folders, two or more.
func alike(tops []*top) bool {
	return len(tops) > 1 && len(tops[0].subs) > 1 && !slices.ContainsFunc(tops, func(t *top) bool {
		return t.direct > 0 || !maps.Equal(t.subs, tops[0].subs)
	})
}

// splits makes the training and the validation set of the folders at the top.
func (l *layout) splits(tops []*top) (train, val *part, err error) {
	pick := func(r role) *top {
		var best *top
		for _, t := range tops {
			if t.role == r && len(t.subs) > 0 && (best == nil || t.exact && !best.exact) {
				best = t
			}
		}
		return best
	}
	learned, held := pick(trainRole), (*top)(nil)
	for _, r := range heldRoles {
		held = cmp.Or(held, pick(r))
	}
	if learned == nil && held != nil { // an unknown name beside a known one
		for _, t := range tops {
			if t.role == noRole && overlaps(t, held) {
				if learned != nil {
					return nil, nil, fmt.Errorf("images: %s: %w: beside %s, both %s and %s may be the training set; name it train", l.path, ErrClasses, held.name, learned.name, t.name)
				}
				learned = t
			}
		}
	}
	var known []string
	if learned != nil {
		for _, t := range tops {
			if t.role == trainRole && len(t.subs) > 0 && t != learned && t.exact == learned.exact {
				return nil, nil, fmt.Errorf("images: %s: %w: both %s and %s are training sets by their names; join them, or give one of them", l.path, ErrClasses, learned.name, t.name)
			}
		}
		if train, err = l.split(learned, nil); err != nil {
			return nil, nil, err
		}
		known = train.classes
	}
	if held != nil {
		if val, err = l.split(held, known); err != nil {
			return nil, nil, err
		}
	}
	for _, t := range tops {
		switch {
		case t == learned || t == held && val != nil:
		case len(t.subs) == 0 || t == held:
			l.leftOut.Count(int64(len(t.images)), "images", "without a class folder, in "+t.name, l.images[t.images[0]].where(), false)
		default:
			l.unused = append(l.unused, Unused{t.name, int64(len(t.images))})
		}
	}
	l.noteSets(learned, held, val)
	return train, val, nil
}

// noteSets says which folders were taken for which set.
func (l *layout) noteSets(learned, held *top, val *part) {
	switch {
	case learned == nil:
		l.note(fmt.Sprintf("There is no training set beside the folder %s, which is taken alone.", held.name))
	case val == nil:
		l.note(fmt.Sprintf("The folder %s is the training set.", learned.name))
	default:
		l.note(fmt.Sprintf("The folder %s is the training set, %s the validation set.", learned.name, held.name))
	}
}

// split makes the set in the folder s. known are the classes of the training set; without one of them in a validation
// set it has no labels, and the part is nil.
func (l *layout) split(s *top, known []string) (*part, error) {
	dirs := make([][]string, len(l.dirs))
	own := make([][]string, 0, len(s.images))
	for _, i := range s.images {
		dirs[i] = l.dirs[i][1:]
		if len(dirs[i]) == 0 {
			return nil, stray(l.images[i])
		}
		own = append(own, dirs[i])
	}
	prefix := l.common + s.name + "/"
	for {
		first := shared(own, 2)
		if first == "" || slices.Contains(known, first) {
			break
		}
		prefix += first + "/"
		drop(own)
	}
	for k, i := range s.images {
		dirs[i] = own[k]
	}
	if first := shared(own, 1); len(known) > 0 && first != "" && !slices.Contains(known, first) && (generic(first) || first == s.name) {
		return nil, nil
	}
	p, err := l.part(func(i int) string {
		if dirs[i] == nil {
			return ""
		}
		return dirs[i][0]
	})
	if err == nil && !l.swaps {
		l.imageless(prefix, p.classes)
	}
	return p, err
}

// part makes a set of the images with a class.
func (l *layout) part(class func(i int) string) (*part, error) {
	p := newPart(l.images, class)
	return p, p.checkForeign(l.images, class)
}

// imageless counts the folders beside the class folders that have no images.
func (l *layout) imageless(above string, classes []string) {
	seen := map[string]bool{}
	for _, dir := range slices.Sorted(maps.Keys(l.others)) {
		rest, ok := strings.CutPrefix(dir+"/", above)
		name, _, _ := strings.Cut(rest, "/")
		if ok && name != "" && name != "." && name != path.Base(above) && !seen[name] && !slices.Contains(classes, name) {
			seen[name] = true
			l.leave("folders", "without images beside the class folders, and so no class", path.Join(l.path, above, name))
		}
	}
}
