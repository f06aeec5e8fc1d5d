package disk

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// streamWait is how long OpenStream waits for somebody to write into a pipe.
const streamWait = 10 * time.Second

// OpenStream opens a file that a user named to be read, which may be a pipe. A pipe that nobody opens to write is an
// error after 10 seconds.
func OpenStream(path string) (*os.File, error) {
	return openStream(path, streamWait)
}

func openStream(path string, wait time.Duration) (*os.File, error) {
	if info, err := os.Stat(path); err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return os.Open(path)
	}
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-time.After(wait):
	}
	if w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil { // which ends the waiting
		w.Close()
		go func() {
			if o := <-done; o.err == nil {
				o.f.Close()
			}
		}()
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w but a pipe, and for %v nobody has written into it", ErrIrregular, wait)}
}
