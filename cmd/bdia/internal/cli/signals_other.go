//go:build !unix

package cli

import (
	"os"
	"syscall"
)

// moreSignals stop a command too.
var moreSignals = []os.Signal{syscall.SIGTERM}

// brokenPipes are the errors of a write that nobody reads, on Windows.
var brokenPipes = []error{syscall.Errno(109), syscall.Errno(232)}
