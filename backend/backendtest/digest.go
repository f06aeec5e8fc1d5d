package backendtest

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// digestTest holds digests against their definition, and flips bits.
func digestTest(e *env) {
	for _, s := range []struct{ parts, n int }{{1, 1}, {3, 7 * 36}, {2, 65}, {2, chunk + 13}, {1, 3*chunk + 1}} {
		mark := e.Mark()
		name := fmt.Sprintf("%+v: ", s)
		x := e.normal(1, s.parts, s.n)
		host := e.host(x)
		host[0], host[len(host)-1] = float32(math.NaN()), float32(math.Inf(-1))
		words := make([]uint32, len(host))
		for i, v := range host {
			words[i] = math.Float32bits(v)
		}
		e.Upload(x, host)
		e.digests(name+"float32", s.parts, x, words)

		at := (7 * s.n / 3) % len(host)
		words[at] ^= 1 << 31
		host[at] = math.Float32frombits(words[at])
		e.Upload(x, host)
		e.digests(name+"a sign flipped", s.parts, x, words)

		ints := e.below(1<<20, s.parts, s.n)
		for i, v := range e.ints(ints) {
			words[i] = uint32(v)
		}
		e.digests(name+"int32", s.parts, ints, words)

		bytes := make([]byte, len(words))
		for i := range bytes {
			bytes[i] = byte(words[i])
			words[i] = uint32(bytes[i])
		}
		codes := e.Alloc(backend.SideBits, tensor.U8, tensor.Shape{s.parts, s.n})
		e.UploadBytes(codes, bytes)
		e.digests(name+"bytes", s.parts, codes, words)
		e.Release(mark)
	}
	e.mustPanic("parts of several lengths", func() { e.Digest(e.peak(4).Reshape(tensor.Shape{2, 2}), e.empty(7)) })
}

// digests fails unless Digest gives what the definition gives for words.
func (e *env) digests(name string, parts int, x tensor.Tensor, words []uint32) {
	e.t.Helper()
	sums := e.Alloc(backend.Data, tensor.I32, tensor.Shape{parts, 2})
	e.Digest(sums, x)
	got := e.ints(sums)
	per := len(words) / parts
	for p := range parts {
		var want uint64
		for i, word := range words[p*per:][:per] {
			want += uint64(word) * uint64(uint32(2*i+1)*0x9e3779b9)
		}
		if is := uint64(uint32(got[2*p])) | uint64(uint32(got[2*p+1]))<<32; is != want {
			e.t.Errorf("%s: digest of part %d is %x, want %x", name, p, is, want)
		}
	}
}
