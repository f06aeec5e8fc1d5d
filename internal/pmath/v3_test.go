//go:build amd64.v3

package pmath

// fusedByCompiler says that the compiler fuses products and sums, in the standard library too, whose bits are then others.
const fusedByCompiler = true
