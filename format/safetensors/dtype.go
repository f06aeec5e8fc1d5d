package safetensors

import "fmt"

// DType is the type of a tensor's elements. The zero value is no type.
type DType uint8

// The element types of the format, by their names in the header. F8 types,
// complex and unsigned types can be copied as bytes but not read as float32.
const (
	Bool   DType = iota + 1 // one byte, 0 or 1
	U8                      // unsigned, 1 byte
	I8                      // signed, 1 byte
	F8E5M2                  // float, 5 exponent and 2 mantissa bits
	F8E4M3                  // float, 4 exponent and 3 mantissa bits
	F8E8M0                  // power of two, 8 exponent bits
	I16                     // signed, 2 bytes
	U16                     // unsigned, 2 bytes
	F16                     // IEEE 754 binary16
	BF16                    // the upper half of a binary32
	I32                     // signed, 4 bytes
	U32                     // unsigned, 4 bytes
	F32                     // IEEE 754 binary32
	C64                     // two F32: real, imaginary
	F64                     // IEEE 754 binary64
	I64                     // signed, 8 bytes
	U64                     // unsigned, 8 bytes
)

var dtypes = [...]struct {
	name string
	size int
}{
	Bool: {"BOOL", 1}, U8: {"U8", 1}, I8: {"I8", 1},
	F8E5M2: {"F8_E5M2", 1}, F8E4M3: {"F8_E4M3", 1}, F8E8M0: {"F8_E8M0", 1},
	I16: {"I16", 2}, U16: {"U16", 2}, F16: {"F16", 2}, BF16: {"BF16", 2},
	I32: {"I32", 4}, U32: {"U32", 4}, F32: {"F32", 4},
	C64: {"C64", 8}, F64: {"F64", 8}, I64: {"I64", 8}, U64: {"U64", 8},
}

// Size is the size of one element in bytes, and 0 for an unknown type.
func (d DType) Size() int {
	if int(d) >= len(dtypes) {
		return 0
	}
	return dtypes[d].size
}

// String is the type's name in the header, such as "F32".
func (d DType) String() string {
	if d.Size() == 0 {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// ParseDType returns the type with that name in a header, and false for an
// unknown name.
func ParseDType(name string) (DType, bool) {
	for d, t := range dtypes {
		if t.size > 0 && t.name == name {
			return DType(d), true
		}
	}
	return 0, false
}
