//go:build !amd64 || noasm

package kernel

func (o *operand) pack(ISA) {}

func (o *operand) tiles(_ ISA, _ Layout, _, _, _, _ int, _ []float32, _ int, _ []float32, _ int, _ bool) {
}
