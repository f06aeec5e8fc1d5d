package pairs

import (
	"testing"

	"github.com/bdia-go/bdia/verify"
)

// TestCheck checks both stacks with initial weights on random tokens.
func TestCheck(t *testing.T) {
	t.Parallel()
	task := New(tinyPairConfig(t))
	for _, encoder := range []bool{false, true} {
		c, err := task.Check(1, "", encoder)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Run(verify.NoFault); err != nil || !r.Exact() || r.ReconstructedActivations == 0 {
			t.Errorf("encoder %v: %+v, %v", encoder, r, err)
		}
	}
}
