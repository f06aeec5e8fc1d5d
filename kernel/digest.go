package kernel

// digestFactor is odd and has about as many ones as zeros: the golden ratio's fraction times 2^32.
const digestFactor = 0x9e3779b9

// Digest returns the sum of x[i]*w(at+i) over all i, mod 2^64, where w(n) = (2n+1)*0x9e3779b9 mod 2^32. Sums of parts
// add up, in any order:
//
//	Digest(x, 0) == Digest(x[:n], 0) + Digest(x[n:], uint32(n))
//
// The weights are odd and differ from each other, so whatever happens to one element, any flips of two bits, and two
// elements that change places, change the sum.
func Digest(x []uint32, at uint32) (sum uint64) {
	const f, step = uint64(digestFactor), uint64(2 * digestFactor)
	w := uint64(2*at+1) * f
	var a, b, c, d uint64
	for len(x) >= 4 {
		v := (*[4]uint32)(x)
		a += uint64(v[0]) * uint64(uint32(w))
		b += uint64(v[1]) * uint64(uint32(w+step))
		c += uint64(v[2]) * uint64(uint32(w+2*step))
		d += uint64(v[3]) * uint64(uint32(w+3*step))
		w += 4 * step
		x = x[4:]
	}
	for _, v := range x {
		a += uint64(v) * uint64(uint32(w))
		w += step
	}
	return a + b + c + d
}

// DigestBytes is Digest of elements of one byte. It passes over eight zeros at once: most rests of states are.
func DigestBytes(x []byte, at uint32) (sum uint64) {
	const step = 2 * digestFactor & 0xffffffff
	w := (2*at + 1) * digestFactor
	for len(x) > 0 {
		n := min(8, len(x))
		if n == 8 && *(*[8]byte)(x) == [8]byte{} {
			w += 8 * step & 0xffffffff
		} else {
			for _, v := range x[:n] {
				sum += uint64(v) * uint64(w)
				w += step
			}
		}
		x = x[n:]
	}
	return sum
}

// DigestHalves is Digest of elements of two bytes.
func DigestHalves(x []uint16, at uint32) (sum uint64) {
	w := (2*at + 1) * digestFactor
	for _, v := range x {
		sum += uint64(v) * uint64(w)
		w += 2 * digestFactor & 0xffffffff
	}
	return sum
}
