package images

import (
	"fmt"
	"slices"
	"strings"
)

// Names of folders that hold a set for FirstReading. If several names for validation exist, the first in this list is
// taken.
var (
	trainFolders = []string{"train"}
	valFolders   = []string{"val", "valid", "validation", "test"}
)

// firstFolders lists the images of t by their folders as FirstReading has it, as training and validation set. If t
// holds only one set, val is nil.
func firstFolders(t *tree) (train, val *part, err error) {
	var files []*file
	var paths [][]string // their folders and name
	shallow := 0         // least number of folders above an image
	for _, f := range t.files {
		if ending(f.name, firstEndings) == "" {
			continue
		}
		p := strings.Split(f.name, "/")
		if len(p) < 2 {
			return nil, nil, fmt.Errorf("images: %s: %w: the image lies in no class folder; the layout is class/image.png", f.where(), ErrClasses)
		}
		if len(files) == 0 || len(p)-1 < shallow {
			shallow = len(p) - 1
		}
		files, paths = append(files, f), append(paths, p)
	}
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("images: %w in %s: it has no PNG, JPEG or WebP files in class folders and no CIFAR .bin files", ErrNoImages, t.path)
	}
	if len(files) > maxSamples {
		return nil, nil, fmt.Errorf("images: %s: %w: %d images; at most %d", t.path, ErrTooLarge, len(files), maxSamples)
	}
	common := 0 // leading folders shared by all, not counting the class folder
	for common < shallow-1 && !slices.ContainsFunc(paths, func(p []string) bool { return p[common] != paths[0][common] }) {
		common++
	}
	top := map[string]bool{}
	for _, p := range paths {
		top[p[common]] = true
	}
	folder := func(names []string) string {
		i := slices.IndexFunc(names, func(n string) bool { return top[n] })
		if i < 0 {
			return ""
		}
		return names[i]
	}
	trainFolder, valFolder := folder(trainFolders), folder(valFolders)
	if trainFolder == "" || valFolder == "" || shallow-common < 2 {
		return newPart(files, func(i int) string { return paths[i][common] }), nil, nil
	}
	in := func(folder string) *part {
		return newPart(files, func(i int) string {
			if paths[i][common] != folder {
				return ""
			}
			return paths[i][common+1]
		})
	}
	return in(trainFolder), in(valFolder), nil
}

// firstArchiveRole is the role of an archive in a folder for FirstReading.
func firstArchiveRole(name string) role {
	switch stem := name[:len(name)-len(ending(name, archiveEndings))]; {
	case slices.Contains(trainFolders, stem):
		return trainRole
	case stem == "test":
		return testRole
	case slices.Contains(valFolders, stem):
		return valRole
	}
	return noRole
}
