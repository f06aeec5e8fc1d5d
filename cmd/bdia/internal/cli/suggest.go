package cli

import (
	"strings"

	"github.com/bdia-go/bdia/internal/spell"
)

// Nearest returns the name of list that a user probably meant by word, or nothing. "bacth" means "batch", and "optim"
// means "optimizer" where nothing else begins so.
func Nearest(word string, list []string) string {
	word = strings.ToLower(word)
	best, least := "", 1+allowed(word)
	var begun []string
	for _, name := range list {
		if d := spell.Distance(word, strings.ToLower(name)); d < least {
			best, least = name, d
		}
		if len(word) >= 3 && strings.HasPrefix(name, word) {
			begun = append(begun, name)
		}
	}
	if best == "" && len(begun) == 1 {
		return begun[0]
	}
	return best
}

// allowed is how many mistakes a word may have and still be recognised.
func allowed(word string) int {
	switch n := len(word); {
	case n < 3:
		return 0
	case n < 6:
		return 1
	}
	return 2
}

// meant is "did you mean NAME? " for an error, or nothing.
func meant(prefix, word string, list []string) string {
	if near := Nearest(word, list); near != "" {
		return "did you mean " + prefix + near + "? "
	}
	return ""
}
