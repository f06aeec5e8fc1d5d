package cli

import "strings"

// Nearest returns the name of list that a user probably meant by word, or nothing. "bacth" means "batch", and "optim"
// means "optimizer" where nothing else begins so.
func Nearest(word string, list []string) string {
	word = strings.ToLower(word)
	best, least := "", 1+allowed(word)
	var begun []string
	for _, name := range list {
		if d := distance(word, strings.ToLower(name)); d < least {
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

// distance is the number of letters to insert, remove, replace or swap with the next one to turn a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// meant is "did you mean NAME? " for an error, or nothing.
func meant(prefix, word string, list []string) string {
	if near := Nearest(word, list); near != "" {
		return "did you mean " + prefix + near + "? "
	}
	return ""
}
