//go:build unix

package cli

import (
	"os"
	"syscall"
)

// moreSignals stop a command too. Schedulers send SIGUSR1 some time before a job ends.
var moreSignals = []os.Signal{syscall.SIGUSR1}

// brokenPipes are the errors of a write that nobody reads.
var brokenPipes = []error{syscall.EPIPE}
