package images

import (
	"slices"
	"strings"
	"unicode"
)

// role is what a set is for, by the name of its folder.
type role int

const (
	noRole role = iota
	trainRole
	valRole
	devRole
	testRole
)

// heldRoles are the roles of a validation set: the first of them that is there is taken.
var heldRoles = []role{valRole, devRole, testRole}

// roleWords are the words that say what a set is for.
var roleWords = map[string]role{
	"train": trainRole, "training": trainRole, "trn": trainRole, "trainval": trainRole,
	"val": valRole, "valid": valRole, "validation": valRole, "validate": valRole,
	"dev": devRole, "devel": devRole, "eval": devRole, "evaluation": devRole, "holdout": devRole, "heldout": devRole,
	"test": testRole, "testing": testRole, "tst": testRole,
}

// plainWords say nothing about a set beside its role.
var plainWords = strings.Fields("set sets data dataset datasets images image imgs img pics pictures photos folder split splits samples part parts final")

// roleOf returns the role in a folder's name, such as "train", "Training", "test_set" and "seg_train". exact says that
// the name has no other words. A name with two roles has none.
func roleOf(name string) (r role, exact bool) {
	exact = true
	var before rune
	var words strings.Builder // apart from each other: TrainSet is two
	for _, c := range name {
		switch {
		case !unicode.IsLetter(c):
			c = ' '
		case unicode.IsUpper(c) && unicode.IsLower(before):
			words.WriteByte(' ')
		}
		words.WriteRune(c)
		before = c
	}
	for _, word := range strings.Fields(strings.ToLower(words.String())) {
		own := roleWords[word]
		for _, plain := range plainWords {
			if rest, ok := strings.CutSuffix(word, plain); ok && own == noRole {
				own = roleWords[rest]
			}
		}
		switch {
		case own != noRole && r != noRole && own != r:
			return noRole, false
		case own != noRole:
			r = own
		case !slices.Contains(plainWords, word):
			exact = false
		}
	}
	return r, exact && r != noRole
}

// roleOfFile is roleOf for the name of a file without its ending.
func roleOfFile(base string, endings []string) role {
	r, _ := roleOf(base[:len(base)-len(ending(base, endings))])
	return r
}

// generic reports the name of a folder that says only that there are images in it.
func generic(name string) bool {
	switch strings.ToLower(name) {
	case "images", "image", "imgs", "img", "pictures", "pics", "photos", "data", "files", "jpg", "jpeg", "png", "jpegimages", "dataset":
		return true
	}
	return false
}
