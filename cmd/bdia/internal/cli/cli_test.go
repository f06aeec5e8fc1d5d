package cli

import (
	"errors"
	"fmt"
	"testing"
)

// TestOneLine: errors that were joined stay apart.
func TestOneLine(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("bdia: a  b: %w", errors.Join(errors.New("c\n"), errors.New(" d\te")))
	if got := OneLine(err); got != "a b: c; d e" {
		t.Errorf("%q", got)
	}
}
