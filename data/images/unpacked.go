package images

import (
	"io"
	"os"

	"github.com/bdia-go/bdia/internal/mmap"
)

// unpackedPiece is how much memory an archive that is unpacked takes at a time, in bytes.
const unpackedPiece = 4 << 20

// unpacked is the bytes of an archive in memory. It grows by pieces, so that nothing is copied.
type unpacked struct {
	pieces [][]byte // of unpackedPiece bytes
	free   []func()
	size   int64
}

// full reports that the next bytes need another piece, and grow takes one.
func (u *unpacked) full() bool { return u.size == int64(len(u.pieces))*unpackedPiece }

func (u *unpacked) grow() error {
	mem, free, err := mmap.Memory(unpackedPiece)
	if err == nil {
		u.pieces, u.free = append(u.pieces, mem), append(u.free, free)
	}
	return err
}

// rest is the place of the next bytes in the last piece, which is not full.
func (u *unpacked) rest() []byte { return u.pieces[len(u.pieces)-1][u.size%unpackedPiece:] }

// ReadAt reads from the bytes, until they are closed.
func (u *unpacked) ReadAt(dst []byte, offset int64) (n int, err error) {
	if u.pieces == nil && u.size > 0 {
		return 0, os.ErrClosed
	}
	for n < len(dst) && offset < u.size {
		part := u.pieces[offset/unpackedPiece]
		part = part[:min(unpackedPiece, u.size-offset/unpackedPiece*unpackedPiece)]
		k := copy(dst[n:], part[offset%unpackedPiece:])
		n, offset = n+k, offset+int64(k)
	}
	if n < len(dst) {
		err = io.EOF
	}
	return n, err
}

// Close gives the memory back.
func (u *unpacked) Close() error {
	for _, free := range u.free {
		free()
	}
	u.pieces, u.free = nil, nil
	return nil
}
