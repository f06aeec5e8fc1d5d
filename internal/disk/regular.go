package disk

import (
	"errors"
	"io/fs"
	"os"
)

// ErrIrregular is wrapped by OpenRegular's error for a pipe, a socket or a device.
var ErrIrregular = errors.New("it is no ordinary file")

// OpenRegular opens a file of a folder that others may have written. A pipe there is an error (ErrIrregular), since
// opening it would wait for somebody to write into it, and so are sockets and devices. A folder opens as with os.Open.
func OpenRegular(path string) (*os.File, error) {
	return openRegular(path, os.Stat, os.Open)
}

func openRegular(path string, stat func(string) (fs.FileInfo, error), open func(string) (*os.File, error)) (*os.File, error) {
	info, err := stat(path)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrIrregular}
	}
	if err != nil {
		return nil, err
	}
	return open(path)
}
