// Package cpu is the backend for processors: the kernels of package kernel,
// spread over a fixed set of threads.
//
// The split of an operation into tasks may depend on the number of threads; the
// terms and the order of every sum do not. So every number of threads and every
// instruction set gives the same bits. Operations are complete when they return,
// so Sync does not wait.
package cpu

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/mmap"
	"github.com/bdia-go/bdia/internal/sysmem"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// Options of a CPU backend.
type Options struct {
	Threads    int    // 0: as many as Go may use at once
	ISA        string // "portable", "avx2", "avx512" or "amx"; "": the best of this machine
	ArenaBytes int64  // the plan's peak, at least ScratchBytes; the arena never grows

	Precision backend.Precision // of matrix products
}

// Backend runs on this machine's processors. It is for one goroutine at a time.
type Backend struct {
	backend.Arena
	mem       []byte
	free      func()
	isa       kernel.ISA
	precision backend.Precision
	pool      *pool
	shared    []float32 // of all threads: packed operands
	jobs      jobs
	sums      []float64 // partial sums of the reductions over whole tensors
}

// jobs holds the job of each operation. Each has a place of its own, so that setting one
// up allocates nothing.
type jobs struct {
	copy         copyJob
	widen        widenJob
	copyRows     copyRows
	add          addJob
	scale        scaleJob
	lerp         lerpJob
	gelu         geluJob
	geluBackward geluBackwardJob
	squares      squaresJob
	digest       digestJob
	adamW        adamWJob
	adamW8       adamW8Job
	setAdam      setAdamJob
	sgd          sgdJob
	linear       linear
	pack16       pack16
	multiply16   multiply16
	columns16    columns16
	norm         norm
	normBack     normBackward
	pool         poolJob
	crossEntropy crossEntropyJob
	embed        embedJob
	scatter      scatter
	heads        heads
	rotate       rotateJob
	gate         gateJob
	columns      columnsJob
	samples      samples
	dropout      dropoutJob
}

var _ backend.Device = (*Backend)(nil)

// MaxThreads is the largest number of threads in Options; more must be a mistake.
const MaxThreads = 1024

// Threads returns the number of threads that an option of n stands for.
func Threads(n int) int {
	if n <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// ScratchBytes returns the part of the arena that a backend of float32 needs itself, in
// bytes.
func ScratchBytes(threads int) int64 { return Options{Threads: threads}.ScratchBytes() }

// ScratchBytes returns the part of the arena that the backend itself needs, in bytes.
func (o Options) ScratchBytes() int64 {
	return int64(Threads(o.Threads)*o.threadFloats()+o.sharedFloats()) * 4
}

// threadFloats is the length of the scratch buffer of each thread.
func (o Options) threadFloats() int {
	if o.Precision == backend.BFloat16 {
		return max(kernel.ScratchFloats, kernel.Gemm16Scratch)
	}
	return kernel.ScratchFloats
}

// sharedFloats is the length of the buffer for operands that are packed once for all threads.
func (o Options) sharedFloats() int {
	if o.Precision == backend.BFloat16 {
		return sharedFloats16
	}
	return 0
}

// New returns a backend with an arena of ArenaBytes, which includes ScratchBytes.
// Close it to release the memory.
func New(o Options) (*Backend, error) {
	if err := checkThreads(o.Threads); err != nil {
		return nil, err
	}
	level, err := parseISA(o.ISA)
	if err != nil {
		return nil, err
	}
	if least := o.ScratchBytes(); o.ArenaBytes < least {
		return nil, fmt.Errorf("cpu: an arena of %d bytes is too small; the threads alone need %d", o.ArenaBytes, least)
	}
	if err := fits(o.ArenaBytes, 0); err != nil {
		return nil, err
	}
	mem, free, err := mmap.Memory(o.ArenaBytes)
	if err != nil {
		return nil, &backend.MemoryError{Device: "cpu", Arena: o.ArenaBytes, Err: err}
	}
	b := &Backend{Arena: backend.NewArena(o.ArenaBytes), mem: mem, free: free, isa: kernel.ISA(level), precision: o.Precision}
	threads := Threads(o.Threads)
	each, shared := o.threadFloats(), o.sharedFloats()
	all := b.f32(b.Alloc(backend.Scratch, tensor.F32, tensor.Shape{shared + threads*each}))
	b.shared = all[:shared]
	scratch := make([][]float32, threads)
	for t := range scratch {
		scratch[t] = all[shared+t*each:][:each]
	}
	b.pool = newPool(b, scratch)
	return b, nil
}

// fits reports an arena that the process may not take with as much memory beside it (backend.MemoryError): Linux would
// grant it, and kill the process when it is used.
func fits(arena, beside int64) error {
	beside += backend.ProgramBytes
	m := sysmem.Now()
	if m.Free == 0 || arena+m.Left(beside) <= m.Free {
		return nil
	}
	return &backend.MemoryError{Device: "cpu", Arena: arena, Beside: beside, Free: m.Free + min(m.Own, beside), Limit: m.From}
}

// ISA returns the name of the instruction set in use.
func (b *Backend) ISA() string { return b.isa.String() }

// Close ends the threads and frees the arena; no tensor may be used afterwards.
func (b *Backend) Close() {
	b.pool.close()
	b.free()
	b.mem = nil
}

// Sync does nothing: operations are complete when they return.
func (b *Backend) Sync() {}

// view returns t's memory as elements of type E.
func view[E float32 | float64 | int32 | uint16 | byte](b *Backend, t tensor.Tensor, d tensor.DType) []E {
	if !t.Valid() {
		return nil
	}
	if t.DType != d {
		panic(fmt.Sprintf("cpu: tensor of element type %v used as %v", t.DType, d))
	}
	raw := b.bytes(t)
	return unsafe.Slice((*E)(unsafe.Pointer(&raw[0])), t.Len())
}

// bytes returns the memory of t, whatever its element type.
func (b *Backend) bytes(t tensor.Tensor) []byte {
	b.Check(t)
	return b.mem[t.Offset:][:t.Bytes()]
}

func (b *Backend) f32(t tensor.Tensor) []float32 { return view[float32](b, t, tensor.F32) }
func (b *Backend) f64(t tensor.Tensor) []float64 { return view[float64](b, t, tensor.F64) }
func (b *Backend) i32(t tensor.Tensor) []int32   { return view[int32](b, t, tensor.I32) }
func (b *Backend) u8(t tensor.Tensor) []byte     { return view[byte](b, t, tensor.U8) }
func (b *Backend) bf16(t tensor.Tensor) []uint16 { return view[uint16](b, t, tensor.BF16) }

// must panics on shapes that do not fit an operation.
func must(ok bool, op string, ts ...tensor.Tensor) {
	if ok {
		return
	}
	msg := "cpu: " + op + ": shapes do not fit:"
	for _, t := range ts {
		msg += " " + t.Shape.String()
	}
	panic(msg)
}

// copyExact copies between slices of equal length.
func copyExact[E any](dst, src []E) {
	if len(dst) != len(src) {
		panic(fmt.Sprintf("cpu: copy of %d elements into %d", len(src), len(dst)))
	}
	copy(dst, src)
}

// Uploads and downloads copy between host and arena.

func (b *Backend) UploadInts(dst tensor.Tensor, src []int32)   { copyExact(b.i32(dst), src) }
func (b *Backend) DownloadInts(dst []int32, src tensor.Tensor) { copyExact(dst, b.i32(src)) }
func (b *Backend) UploadBytes(dst tensor.Tensor, src []byte)   { copyExact(b.u8(dst), src) }
func (b *Backend) DownloadBytes(dst []byte, src tensor.Tensor) { copyExact(dst, b.u8(src)) }

// Upload copies src to dst; to BF16 it rounds to nearest.
func (b *Backend) Upload(dst tensor.Tensor, src []float32) {
	if dst.DType == tensor.BF16 {
		b.isa.RoundNearest(b.bf16(dst), src)
	} else {
		copyExact(b.f32(dst), src)
	}
}

// Download copies src to dst.
func (b *Backend) Download(dst []float32, src tensor.Tensor) {
	if src.DType == tensor.BF16 {
		b.isa.Widen(dst, b.bf16(src))
	} else {
		copyExact(dst, b.f32(src))
	}
}

// DownloadScalar returns the one float64 of src.
func (b *Backend) DownloadScalar(src tensor.Tensor) float64 {
	must(src.Len() == 1, "DownloadScalar", src)
	return b.f64(src)[0]
}
