//go:build !amd64.v3

package pmath

const fusedByCompiler = false
