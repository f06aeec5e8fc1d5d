package optim_test

import (
	"fmt"

	"github.com/bdia-go/bdia/optim"
)

// The learning rate rises in the warm-up and then falls to a tenth.
func ExampleSchedule() {
	s := optim.Schedule{Kind: "cosine", LR: 1, Final: 0.1, Warmup: 10, Steps: 100}
	for _, step := range []int{1, 5, 10, 55, 100} {
		fmt.Printf("step %3d: %.2f\n", step, s.At(step))
	}
	// Output:
	// step   1: 0.10
	// step   5: 0.50
	// step  10: 1.00
	// step  55: 0.55
	// step 100: 0.10
}
