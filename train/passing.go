package train

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
)

// passing reports whether err is a disk's and may pass without anything but the disk changing: it is full, or the
// network to it is down.
func passing(err error) bool {
	return errors.Is(err, fs.ErrPermission) || slices.ContainsFunc(passingErrors, func(e error) bool { return errors.Is(err, e) })
}

// passingErrors are the errors of systems for that.
var passingErrors = append(systemErrors, syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.ETIMEDOUT, syscall.EROFS, syscall.EBUSY,
	syscall.EAGAIN, syscall.EINTR, syscall.ENOMEM, syscall.ENFILE, syscall.ENOLCK, syscall.ESTALE,
	syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ECONNRESET, syscall.ENODEV, syscall.ENXIO)
