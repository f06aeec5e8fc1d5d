package onnxeval

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/bdia-go/bdia/format/onnx"
)

// operators are the supported operators, by name. See
// https://github.com/onnx/onnx/blob/main/docs/Operators.md.
var operators = map[string]func(n onnx.Node, in []Value) []Value{
	"Add":         arithmetic(func(a, b float32) float32 { return a + b }, func(a, b int64) int64 { return a + b }),
	"Sub":         arithmetic(func(a, b float32) float32 { return a - b }, func(a, b int64) int64 { return a - b }),
	"Mul":         arithmetic(func(a, b float32) float32 { return a * b }, func(a, b int64) int64 { return a * b }),
	"Div":         arithmetic(func(a, b float32) float32 { return a / b }, func(a, b int64) int64 { return a / b }),
	"LessOrEqual": logic(func(a, b int64) bool { return a <= b }),
	"And":         logic(func(a, b int64) bool { return a != 0 && b != 0 }),
	"Pow":         arithmetic(func(a, b float32) float32 { return float32(math.Pow(float64(a), float64(b))) }, nil),
	"Tanh":        function(math.Tanh), "Erf": function(math.Erf), "Sqrt": function(math.Sqrt), "Cos": function(math.Cos), "Sin": function(math.Sin),
	"Sigmoid": function(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }),
	"Where":   where, "Cast": cast, "Shape": shapeOf, "Range": upTo, "Reshape": reshape, "Unsqueeze": unsqueeze, "Expand": expand,
	"Gather": gather, "Concat": concat, "Split": split, "Slice": slice, "Transpose": transpose,
	"Gemm": gemm, "MatMul": matMul, "Conv": conv,
	"Softmax": softmax, "LayerNormalization": layerNorm, "ReduceMean": reduceMean,
}

func one(v Value) []Value { return []Value{v} }

// strides returns the distances between neighbours along each axis.
func strides(shape []int) []int {
	s, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// each calls f for every index of shape in order, with the place of its element
// under each of the strides.
func each(shape []int, by [][]int, f func(i int, at []int)) {
	index, at := make([]int, len(shape)), make([]int, len(by))
	for i := range product(shape) {
		f(i, at)
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			for k := range by {
				at[k] += by[k][axis]
			}
			if index[axis] < shape[axis] {
				break
			}
			for k := range by {
				at[k] -= by[k][axis] * shape[axis]
			}
			index[axis] = 0
		}
	}
}

// broadcast returns the common shape of values after broadcasting, and the strides
// of each: 0 along an axis of length 1.
func broadcast(in ...Value) (shape []int, by [][]int) {
	for _, v := range in {
		for len(shape) < len(v.Shape) {
			shape = slices.Insert(shape, 0, 1)
		}
	}
	for _, v := range in {
		for i, d := range v.Shape {
			if at := i + len(shape) - len(v.Shape); d != 1 {
				if shape[at] != 1 && shape[at] != d {
					panic("shapes that do not go together")
				}
				shape[at] = d
			}
		}
	}
	for _, v := range in {
		s := make([]int, len(shape))
		copy(s[len(shape)-len(v.Shape):], strides(v.Shape))
		for i, d := range v.Shape {
			if d == 1 {
				s[i+len(shape)-len(v.Shape)] = 0
			}
		}
		by = append(by, s)
	}
	return shape, by
}

func arithmetic(f func(a, b float32) float32, g func(a, b int64) int64) func(onnx.Node, []Value) []Value {
	return func(_ onnx.Node, in []Value) []Value {
		shape, by := broadcast(in...)
		if in[0].Type == onnx.Int64 {
			out := make([]int64, product(shape))
			each(shape, by, func(i int, at []int) { out[i] = g(in[0].Ints[at[0]], in[1].Ints[at[1]]) })
			return one(Ints(out, shape...))
		}
		a, b, out := in[0].floats(), in[1].floats(), make([]float32, product(shape))
		each(shape, by, func(i int, at []int) { out[i] = f(a[at[0]], b[at[1]]) })
		return one(Floats(out, shape...))
	}
}

func logic(f func(a, b int64) bool) func(onnx.Node, []Value) []Value {
	return func(_ onnx.Node, in []Value) []Value {
		shape, by := broadcast(in...)
		out := Value{Type: onnx.Bool, Shape: shape, Ints: make([]int64, product(shape))}
		each(shape, by, func(i int, at []int) {
			if f(in[0].Ints[at[0]], in[1].Ints[at[1]]) {
				out.Ints[i] = 1
			}
		})
		return one(out)
	}
}

func function(f func(float64) float64) func(onnx.Node, []Value) []Value {
	return func(_ onnx.Node, in []Value) []Value {
		out := slices.Clone(in[0].floats())
		for i, x := range out {
			out[i] = float32(f(float64(x)))
		}
		return one(Floats(out, in[0].Shape...))
	}
}

func where(_ onnx.Node, in []Value) []Value {
	shape, by := broadcast(in...)
	a, b, out := in[1].floats(), in[2].floats(), make([]float32, product(shape))
	each(shape, by, func(i int, at []int) {
		if out[i] = b[at[2]]; in[0].Ints[at[0]] != 0 {
			out[i] = a[at[1]]
		}
	})
	return one(Floats(out, shape...))
}

// cast supports two conversions of integers: to bools, and to floats.
func cast(n onnx.Node, in []Value) []Value {
	if onnx.Type(attribute(n, "to", 0)) == onnx.Float && in[0].Type == onnx.Int64 {
		out := make([]float32, len(in[0].Ints))
		for i, x := range in[0].Ints {
			out[i] = float32(x)
		}
		return one(Floats(out, in[0].Shape...))
	}
	if to := onnx.Type(attribute(n, "to", 0)); to != onnx.Bool || in[0].Type != onnx.Int64 {
		panic(fmt.Sprintf("Cast to %v", to))
	}
	out := Value{Type: onnx.Bool, Shape: in[0].Shape, Ints: slices.Clone(in[0].Ints)}
	for i, x := range out.Ints {
		out.Ints[i] = min(x*x, 1)
	}
	return one(out)
}

func shapeOf(_ onnx.Node, in []Value) []Value {
	var out []int64
	for _, d := range in[0].Shape {
		out = append(out, int64(d))
	}
	return one(Ints(out, len(out)))
}

func upTo(_ onnx.Node, in []Value) []Value {
	var out []int64
	for x := in[0].Ints[0]; x < in[1].Ints[0]; x += in[2].Ints[0] {
		out = append(out, x)
	}
	return one(Ints(out, len(out)))
}

// as returns v with another shape.
func (v Value) as(shape []int) Value {
	if product(shape) != v.elems() {
		panic(fmt.Sprintf("%v into %v", v.Shape, shape))
	}
	v.Shape = shape
	return v
}

func reshape(_ onnx.Node, in []Value) []Value {
	shape := toInts(in[1].Ints)
	for i, d := range shape {
		if d == 0 { // as it was
			shape[i] = in[0].Shape[i]
		}
	}
	if i := slices.Index(shape, -1); i >= 0 {
		shape[i] = 1
		shape[i] = in[0].elems() / product(shape)
	}
	return one(in[0].as(shape))
}

func unsqueeze(_ onnx.Node, in []Value) []Value {
	shape := slices.Clone(in[0].Shape)
	for _, axis := range in[1].Ints { // in rising order
		shape = slices.Insert(shape, int(axis), 1)
	}
	return one(in[0].as(shape))
}

func expand(_ onnx.Node, in []Value) []Value {
	shape, by := broadcast(in[0], Value{Shape: toInts(in[1].Ints)})
	x, out := in[0].floats(), make([]float32, product(shape))
	each(shape, by[:1], func(i int, at []int) { out[i] = x[at[0]] })
	return one(Floats(out, shape...))
}

// share calls f for every i below n, on all processors. f must not panic.
func share(n int, f func(i int)) {
	var wait sync.WaitGroup
	workers := min(n, runtime.GOMAXPROCS(0))
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wait.Wait()
}

// dot sums in eight running sums.
func dot(a, b []float32) float32 {
	var s [8]float32
	b = b[:len(a)]
	i := 0
	for ; i+8 <= len(a); i += 8 {
		x, y := a[i:i+8:i+8], b[i:i+8:i+8]
		for j := range s {
			s[j] += x[j] * y[j]
		}
	}
	for j := 0; i < len(a); i, j = i+1, j+1 {
		s[j] += a[i] * b[i]
	}
	return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))
}

// gemm is A Bᵀ + C: A (M,K), B (N,K), C (N) or none.
func gemm(n onnx.Node, in []Value) []Value {
	a, b, M, K, N := in[0].floats(), in[1], in[0].Shape[0], in[0].Shape[1], in[1].Shape[0]
	if attribute(n, "transB", 0) != 1 || b.Shape[1] != K {
		panic("a product that is not A Bᵀ")
	}
	out := make([]float32, M*N)
	var c []float32
	if len(in) > 2 {
		c = in[2].floats()[:N]
	}
	const columns = 64 // at a time
	share((N+columns-1)/columns, func(part int) {
		var buf []float32
		if b.raw != nil {
			buf = make([]float32, K)
		}
		for j := part * columns; j < min((part+1)*columns, N); j++ {
			w := b.row(j, K, buf)
			for i := range M {
				y := dot(a[i*K:(i+1)*K], w)
				if c != nil {
					y += c[j]
				}
				out[i*N+j] = y
			}
		}
	})
	return one(Floats(out, M, N))
}

// matMul multiplies matrices (M,K) and (K,N), the last two axes of two values. The other axes are equal, or of length 1
// in the second value, which then serves all.
func matMul(_ onnx.Node, in []Value) []Value {
	a, b, r := in[0].floats(), in[1].floats(), len(in[0].Shape)
	M, K, N := in[0].Shape[r-2], in[0].Shape[r-1], in[1].Shape[r-1]
	shape, by := broadcast(Value{Shape: in[0].Shape[:r-2]}, Value{Shape: in[1].Shape[:r-2]})
	if len(in[1].Shape) != r || !slices.Equal(shape, in[0].Shape[:r-2]) || in[1].Shape[r-2] != K {
		panic("matrices that do not go together")
	}
	matrices := product(shape)
	second := make([]int, matrices) // matrix of the second value
	each(shape, by, func(i int, at []int) { second[i] = at[1] })
	out := make([]float32, matrices*M*N)
	share(matrices, func(m int) {
		for i := range M {
			y := out[(m*M+i)*N : (m*M+i+1)*N]
			for k := range K {
				at := (second[m]*K + k) * N
				x, w := a[(m*M+i)*K+k], b[at:at+N]
				for j := range y {
					y[j] += x * w[j]
				}
			}
		}
	})
	return one(Floats(out, append(slices.Clone(in[0].Shape[:r-1]), N)...))
}

// conv is a convolution without overlapping windows: x (B,I,H,W), w (O,I,P,P),
// strides P.
func conv(n onnx.Node, in []Value) []Value {
	x, w, bias := in[0].floats(), in[1].floats(), in[2].floats()
	B, I, H, W := in[0].Shape[0], in[0].Shape[1], in[0].Shape[2], in[0].Shape[3]
	O, P := in[1].Shape[0], in[1].Shape[2]
	if s := numbers(n, "strides"); in[1].Shape[1] != I || in[1].Shape[3] != P || !slices.Equal(s, []int{P, P}) {
		panic("a convolution whose windows overlap")
	}
	h, v := H/P, W/P
	out := make([]float32, 0, B*O*h*v)
	for b := range B {
		for o := range O {
			for i := range h {
				for j := range v {
					sum := bias[o]
					for c := range I {
						for k := range P {
							at := ((b*I+c)*H+i*P+k)*W + j*P
							sum += dot(x[at:at+P], w[((o*I+c)*P+k)*P:][:P])
						}
					}
					out = append(out, sum)
				}
			}
		}
	}
	return one(Floats(out, B, O, h, v))
}

// rows calls f for each row of the last axis of a copy of v.
func rows(v Value, f func(row []float32)) []Value {
	out, n := slices.Clone(v.floats()), v.Shape[len(v.Shape)-1]
	for at := 0; at < len(out); at += n {
		f(out[at : at+n])
	}
	return one(Floats(out, v.Shape...))
}

func softmax(n onnx.Node, in []Value) []Value {
	if r := len(in[0].Shape); axisOf(n, r, -1) != r-1 {
		panic("not the last axis")
	}
	return rows(in[0], func(row []float32) {
		most, sum := slices.Max(row), 0.0
		for i, x := range row {
			e := math.Exp(float64(x - most))
			row[i] = float32(e)
			sum += e
		}
		for i := range row {
			row[i] /= float32(sum)
		}
	})
}

func layerNorm(n onnx.Node, in []Value) []Value {
	if r := len(in[0].Shape); axisOf(n, r, -1) != r-1 {
		panic("not the last axis")
	}
	eps, _ := n.Attr("epsilon").(float32)
	weight := in[1].floats()
	var bias []float32
	if len(in) > 2 {
		bias = in[2].floats()
	}
	return rows(in[0], func(row []float32) {
		mean, squares := 0.0, 0.0
		for _, x := range row {
			mean += float64(x) / float64(len(row))
		}
		for _, x := range row {
			squares += (float64(x) - mean) * (float64(x) - mean)
		}
		scale := 1 / math.Sqrt(squares/float64(len(row))+float64(eps))
		for i, x := range row {
			row[i] = float32((float64(x)-mean)*scale) * weight[i]
			if bias != nil {
				row[i] += bias[i]
			}
		}
	})
}

// reduceMean is the mean over axis 1 of three, which goes away, or over the last axis, which stays.
func reduceMean(n onnx.Node, in []Value) []Value {
	x, s := in[0].floats(), in[0].Shape
	axes, keep := numbers(n, "axes"), attribute(n, "keepdims", 1) != 0
	if slices.Equal(axes, []int{-1}) && keep {
		width := s[len(s)-1]
		out := make([]float32, len(x)/width)
		for i := range out {
			sum := 0.0
			for _, v := range x[i*width : (i+1)*width] {
				sum += float64(v)
			}
			out[i] = float32(sum / float64(width))
		}
		return one(Floats(out, append(slices.Clone(s[:len(s)-1]), 1)...))
	}
	if len(s) != 3 || !slices.Equal(axes, []int{1}) || keep {
		panic("not the mean over axis 1 of 3, nor over the last axis")
	}
	out := make([]float32, s[0]*s[2])
	for i, v := range x {
		out[i/(s[1]*s[2])*s[2]+i%s[2]] += v / float32(s[1])
	}
	return one(Floats(out, s[0], s[2]))
}
