package train

import "syscall"

// systemErrors are Windows' own: a file that another program holds, and a full disk.
var systemErrors = []error{syscall.Errno(32), syscall.Errno(33), syscall.Errno(39), syscall.Errno(112)}
