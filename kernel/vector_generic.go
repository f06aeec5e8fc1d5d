//go:build !amd64 || noasm

package kernel

// assembly tells whether this build has the kernels of vecOp in assembly.
const assembly = false

func (isa ISA) call(vecOp, *vecArgs) {}

func (isa ISA) onRows(rowOp, *rowArgs) {}

func (isa ISA) draw(*keepArgs)      {}
func (isa ISA) drawWhole(*keepArgs) {}
