package cpu

import (
	"sync/atomic"
	"unsafe"

	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// digestJob takes digests: perPart elements to a part, tasks tasks for one.
type digestJob struct {
	sums           []int32
	words          []uint32
	halves         []uint16 // if the elements have two bytes
	bytes          []byte   // if they are bytes
	perPart, tasks int
}

func (j *digestJob) run(_ *Backend, task int, _ []float32) {
	part, lo := task/j.tasks, task%j.tasks*chunkLen
	from, to := part*j.perPart+lo, part*j.perPart+min(lo+chunkLen, j.perPart)
	var sum uint64
	switch {
	case j.bytes != nil:
		sum = kernel.DigestBytes(j.bytes[from:to], uint32(lo))
	case j.halves != nil:
		sum = kernel.DigestHalves(j.halves[from:to], uint32(lo))
	default:
		sum = kernel.Digest(j.words[from:to], uint32(lo))
	}
	atomic.AddUint64((*uint64)(unsafe.Pointer(&j.sums[2*part])), sum) // a sum of integers has no order
}

// Digest writes the digest of each part of x.
func (b *Backend) Digest(sums, x tensor.Tensor) {
	parts := sums.Len() / 2
	must(sums.Len()%2 == 0 && x.Len()%parts == 0 && x.DType != tensor.F64, "Digest", sums, x)
	b.Zero(sums)
	j := digestJob{sums: b.i32(sums), perPart: x.Len() / parts}
	j.tasks = (j.perPart + chunkLen - 1) / chunkLen
	raw := b.bytes(x)
	switch x.DType {
	case tensor.U8:
		j.bytes = raw
	case tensor.BF16:
		j.halves = b.bf16(x)
	default:
		j.words = unsafe.Slice((*uint32)(unsafe.Pointer(&raw[0])), x.Len())
	}
	b.jobs.digest = j
	b.pool.run(parts*j.tasks, &b.jobs.digest)
}
