//go:build !amd64 || noasm

package cpufeat

const (
	best       = Portable
	withoutAMX = ""
)
