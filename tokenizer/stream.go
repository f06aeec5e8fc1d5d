package tokenizer

import (
	"fmt"
	"io"
)

// chunk is the size of the read buffer of a stream.
const chunk = 256 << 10

// stream reads r into a buffer and calls eat with its contents; eat returns the
// number of bytes it took, and the rest comes again, followed by more text. In
// the last call final is set and eat must take everything. While eat takes
// nothing of a full buffer, the buffer doubles.
func stream(r io.Reader, eat func(text []byte, final bool) (int, error)) error {
	buf := make([]byte, chunk)
	n, empty := 0, 0
	for {
		k, err := r.Read(buf[n:])
		n += k
		if err == io.EOF {
			_, err = eat(buf[:n], true)
			return err
		}
		if err != nil {
			return fmt.Errorf("tokenizer: reading text: %w", err)
		}
		if k > 0 {
			empty = 0
		} else if empty++; empty == 100 {
			return fmt.Errorf("tokenizer: reading text: %w", io.ErrNoProgress)
		}
		if n < len(buf) {
			continue
		}
		used, err := eat(buf, false)
		if err != nil {
			return err
		}
		if used == 0 {
			buf = append(buf, make([]byte, len(buf))...)
		}
		n = copy(buf, buf[used:n])
	}
}
