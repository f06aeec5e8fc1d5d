// Package spell compares names that people type with names that there are.
package spell

// Distance is the number of letters to insert, remove, replace or swap with the next one to turn a into b. Of names of
// more than 256 letters it is the sum of their lengths.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 256 || len(y) > 256 {
		return len(x) + len(y)
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			swap := 1
			if x[i] == y[j] {
				swap = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+swap)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
