package disk

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
)

// File is an open file, like os.File. It is for one goroutine.
type File struct {
	f    *os.File
	path string
	id   int64
	at   int64 // where the next Write or Read goes
}

// opened counts the files that were opened.
var opened atomic.Int64

// Create is os.Create.
func Create(path string) (*File, error) {
	return OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile is os.OpenFile, for writing and without os.O_APPEND.
func OpenFile(path string, flag int, perm fs.FileMode) (*File, error) {
	id := opened.Add(1)
	if err := before(Op{Kind: Open, Path: path, File: id, Flag: flag}); err != nil {
		return nil, named("open", path, err)
	}
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return &File{f: f, path: path, id: id}, nil
}

// Name returns the path with which the file was opened.
func (f *File) Name() string { return f.path }

// Fd returns the system's number of the file, for locks.
func (f *File) Fd() uintptr { return f.f.Fd() }

// Stat is os.File's.
func (f *File) Stat() (fs.FileInfo, error) { return f.f.Stat() }

// Read reads on from where the last Read or Write ended.
func (f *File) Read(b []byte) (int, error) {
	n, err := f.f.Read(b)
	f.at += int64(n)
	return n, err
}

// ReadAt is os.File's.
func (f *File) ReadAt(b []byte, offset int64) (int, error) { return f.f.ReadAt(b, offset) }

// Write writes on from where the last Read or Write ended.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.write(b, f.at, f.f.Write)
	f.at += int64(n)
	return n, err
}

// WriteAt writes at an offset.
func (f *File) WriteAt(b []byte, offset int64) (int, error) {
	return f.write(b, offset, func(b []byte) (int, error) { return f.f.WriteAt(b, offset) })
}

func (f *File) write(b []byte, offset int64, write func([]byte) (int, error)) (n int, err error) {
	if err := before(Op{Kind: Write, Path: f.path, File: f.id, Offset: offset, Data: b}); err != nil {
		var short *Short
		if errors.As(err, &short) {
			n, _ = write(b[:min(short.N, len(b))])
			err = short.Err
		}
		return n, named("write", f.path, err)
	}
	return write(b)
}

// Truncate is os.File's.
func (f *File) Truncate(size int64) error {
	if err := before(Op{Kind: Cut, Path: f.path, File: f.id, Offset: size}); err != nil {
		return named("truncate", f.path, err)
	}
	return f.f.Truncate(size)
}

// Sync makes the file's bytes durable.
func (f *File) Sync() error {
	if err := before(Op{Kind: Sync, Path: f.path, File: f.id}); err != nil {
		return named("sync", f.path, err)
	}
	return f.f.Sync()
}

// Close closes the file. It makes nothing durable.
func (f *File) Close() error { return f.f.Close() }
