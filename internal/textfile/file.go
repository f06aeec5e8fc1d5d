package textfile

import (
	"fmt"
	"io"
	"os"

	"github.com/bdia-go/bdia/internal/disk"
)

// TooLargeError is the error of ReadFile for a file of more than Most bytes.
type TooLargeError struct {
	Path string
	Most int64
}

// Error names the file and the limit.
func (e *TooLargeError) Error() string {
	if e.Most%(1<<20) == 0 {
		return fmt.Sprintf("%s is larger than %d MiB", e.Path, e.Most>>20)
	}
	return fmt.Sprintf("%s is larger than %d bytes", e.Path, e.Most)
}

// ReadFile returns the content of the file at path as it is, without unpacking. It
// is for files that are small and read whole, a configuration for example: more than
// most bytes are a TooLargeError, and a pipe or a device is disk.ErrIrregular. Unlike others here, its errors name the
// file.
func ReadFile(path string, most int64) ([]byte, error) {
	return readFile(path, most, disk.OpenRegular)
}

// ReadStream is ReadFile of what a user named, which may be a pipe.
func ReadStream(path string, most int64) ([]byte, error) {
	return readFile(path, most, disk.OpenStream)
}

func readFile(path string, most int64, open func(string) (*os.File, error)) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, &TooLargeError{path, most}
	}
	return b, nil
}
