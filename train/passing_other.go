//go:build !windows

package train

// systemErrors are the ones that only some systems have.
var systemErrors []error
