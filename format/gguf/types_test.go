package gguf

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"testing"
)

// numbers are n numbers whose groups of 32 differ in size, from those whose
// factor is zero as binary16 on; every 16th group is of halves, with factor 1.
func numbers(n int) []float32 {
	v := make([]float32, n)
	x := uint32(1)
	for i := range v {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		g := uint32(i / 32)
		switch {
		case g%16 != 0:
			v[i] = math.Float32frombits(x&0x807fffff | (60+g%80-x>>8%8)<<23)
		case i%32 == 0:
			v[i] = 127
		default:
			v[i] = float32(int(x%509)-254) / 2
		}
	}
	return v
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// The sums are those of the bytes that ggml's quantize_row_q8_0_ref,
// dequantize_row_q8_0, ggml_fp32_to_fp16_row and ggml_fp32_to_bf16_row_ref give
// for the same numbers, computed with libggml-base.so of llama.cpp v0.5.0 (npm
// @node-llama-cpp/linux-x64 3.22.1).
func TestEncodeIsGGMLs(t *testing.T) {
	t.Parallel()
	v := numbers(1 << 16)
	for typ, want := range map[Type]string{
		Q8_0: "bc2f51bdc3345f857031380fe5e719a97bf5c615adf342adf5cd1846589d0f24",
		F16:  "6fb1b6d620ca4d396142551e65a2b058e1d5031a9a953973666f73afa0c558e3",
		BF16: "04f6ff57bd68c22a4b1f06c1bfda96a5e30d142b9948691449a7752ae423a372",
	} {
		b, bad := encode(nil, typ, v)
		if bad >= 0 || sum(b) != want {
			t.Errorf("%v: sum %s, refused %d; want %s", typ, sum(b), bad, want)
		}
		if typ != Q8_0 {
			continue
		}
		back := make([]float32, len(v))
		decode(back, typ, b)
		if b, _ = encode(nil, F32, back); sum(b) != "d264c3a8d5723ac9acdf201ce3d3a7b87b17738e19dafce2f573d46a336222fe" {
			t.Errorf("decoded %v: sum %s", typ, sum(b))
		}
	}
}

// TestEncodeRefuses: what has no finite number in a type is told by its index.
func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tc := range []struct {
		v    float32
		fits []Type
	}{
		{65519, []Type{F16, BF16, Q8_0}}, {-65520, []Type{BF16, Q8_0}}, {65519 * 127, []Type{BF16, Q8_0}}, {65521 * 127, []Type{BF16}},
		{math.MaxFloat32, nil}, {inf, nil}, {-inf, nil}, {nan, nil}, {math.SmallestNonzeroFloat32, []Type{F16, BF16, Q8_0}},
	} {
		src := make([]float32, 96)
		src[40], src[41] = tc.v, 1e-3
		fits := map[Type]bool{F32: true}
		for _, typ := range tc.fits {
			fits[typ] = true
		}
		for _, typ := range []Type{F32, F16, BF16, Q8_0} {
			_, bad := encode(nil, typ, src)
			if want := map[bool]int{true: -1, false: 40}[fits[typ]]; bad != want {
				t.Errorf("%g as %v: %d, want %d", tc.v, typ, bad, want)
			}
		}
	}
	// 1/d is infinite: the group is zero.
	src := make([]float32, 32)
	src[3] = 1e-38
	if b, bad := encode(nil, Q8_0, src); bad >= 0 || sum(b) != sum(make([]byte, 34)) {
		t.Errorf("a group of 1e-38 is %v, %d", b, bad)
	}
}
