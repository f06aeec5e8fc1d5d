package tensor_test

import (
	"fmt"

	"github.com/bdia-go/bdia/tensor"
)

// A matrix of a batch: 2 samples of 3 positions with 4 channels, seen as rows and cut into parts. Nothing is copied.
func ExampleTensor() {
	x := tensor.Tensor{Shape: tensor.Shape{2, 3, 4}, DType: tensor.F32}
	fmt.Println(x.Shape, x.Rows(), "rows of", x.Cols(), "in", x.Bytes(), "bytes")
	second := x.Index(1)
	fmt.Println(second.Shape, "at byte", second.Offset)
	fmt.Println(x.RowRange(2, 4).Shape)
	// Output:
	// (2,3,4) 6 rows of 4 in 96 bytes
	// (3,4) at byte 48
	// (2,4)
}
