package data

import (
	"bufio"
	"context"
	"fmt"
	"io"
)

// Character is a character of a Source that a vocabulary lacks.
type Character struct {
	Rune  rune
	Count int64  // how often it is there
	Place string // of the first: file and line, or row
}

// Unknown reads all texts and returns the characters for which known is false, in the order in which they come.
// Progress is called with the number of bytes read so far. The end of ctx is an error.
func (s *Source) Unknown(ctx context.Context, known func(r rune) bool, progress func(bytes int64)) ([]Character, error) {
	w := walk{files: s.Files, skipBad: s.skipBad}
	defer w.close()
	var list []Character
	seen := map[rune]int{}
	var done int64
	for {
		d, err := w.next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		counted := NewProgressReader(ctx, &countingReader{d.text, &done, progress}, func(int64) {})
		r, line := bufio.NewReaderSize(counted, 64<<10), 1
		for {
			c, _, err := r.ReadRune()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			if !known(c) {
				i, again := seen[c]
				if !again {
					i = len(list)
					seen[c], list = i, append(list, Character{Rune: c, Place: d.at(line)})
				}
				list[i].Count++
			}
			if c == '\n' {
				line++
			}
		}
	}
}

// at is the place of a line of d.
func (d document) at(line int) string {
	if d.row {
		return d.place
	}
	return fmt.Sprintf("%s, line %d", d.place, line)
}
