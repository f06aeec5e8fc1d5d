package backendtest

import (
	"math"

	"github.com/bdia-go/bdia/backend"
)

// The operations as a textbook has them, in float64.

// matmul returns A B for A (m,k) and B (k,n), given by element.
func matmul(m, n, k int, a, b func(i, j int) float64) []float64 {
	c := make([]float64, m*n)
	for i := range m {
		for j := range n {
			for l := range k {
				c[i*n+j] += a(i, l) * b(l, j)
			}
		}
	}
	return c
}

// layerNorm returns y, means and reciprocal deviations of rows of C.
func layerNorm(x, w, b []float64, C int, eps float64) (y, mean, rstd []float64) {
	y = make([]float64, len(x))
	for r := 0; r < len(x); r += C {
		m, v := 0.0, 0.0
		for _, e := range x[r : r+C] {
			m += e / float64(C)
		}
		for _, e := range x[r : r+C] {
			v += (e - m) * (e - m) / float64(C)
		}
		s := 1 / math.Sqrt(v+eps)
		for i := range C {
			y[r+i] = (x[r+i]-m)*s*w[i] + b[i]
		}
		mean, rstd = append(mean, m), append(rstd, s)
	}
	return y, mean, rstd
}

// layerNormBackward returns the gradients of layerNorm.
func layerNormBackward(dy, x, w, mean, rstd []float64, C int) (dx, dw, db []float64) {
	dx, dw, db = make([]float64, len(x)), make([]float64, C), make([]float64, C)
	for r := range mean {
		var sum, dot float64
		for i := range C {
			xhat, g := (x[r*C+i]-mean[r])*rstd[r], dy[r*C+i]*w[i]
			dw[i] += dy[r*C+i] * xhat
			db[i] += dy[r*C+i]
			sum += g / float64(C)
			dot += g * xhat / float64(C)
		}
		for i := range C {
			xhat, g := (x[r*C+i]-mean[r])*rstd[r], dy[r*C+i]*w[i]
			dx[r*C+i] = (g - sum - xhat*dot) * rstd[r]
		}
	}
	return dx, dw, db
}

// gelu returns gelu(x) and its derivative.
func gelu(x float64, form backend.GELUForm) (y, dy float64) {
	if form == backend.GELUErf {
		phi := 0.5 * math.Erfc(-x/math.Sqrt2)
		return x * phi, phi + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}
	c := math.Sqrt(2 / math.Pi)
	t := math.Tanh(c * (x + 0.044715*x*x*x))
	return 0.5 * x * (1 + t), 0.5*(1+t) + 0.5*x*(1-t*t)*c*(1+3*0.044715*x*x)
}

// crossEntropy returns loss and gradient of one row of logits, smoothing of the
// target's probability spread over all classes.
func crossEntropy(logits []float64, target int, smoothing float64) (loss float64, grad []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, l := range logits {
		top = max(top, l)
	}
	for _, l := range logits {
		sum += math.Exp(l - top)
	}
	for i, l := range logits {
		want := smoothing / float64(len(logits))
		if i == target {
			want += 1 - smoothing
		}
		loss += want * (math.Log(sum) - (l - top))
		grad = append(grad, math.Exp(l-top)/sum-want)
	}
	return loss, grad
}

// attention holds the matrices of one head in float64: queries (T,D), keys and values (S,D).
// The first seen keys count.
type attention struct {
	T, seen   int
	D         int
	causal    bool
	window    int                    // the last keys that count; 0: all
	scale     float64                // of the scores; 0: 1/sqrt(D)
	mask      func(t, u int) float64 // what multiplies the weight
	q, k, v   []float64
	out, dout []float64
	lse       []float64
	dq, dk    []float64
	dv        []float64
}

// weights returns the softmax row of query t and its logarithmic sum.
func (a *attention) weights(t int) (p []float64, lse float64) {
	n := a.seen
	if a.causal {
		n = t + 1
	}
	p = make([]float64, n)
	top, sum := math.Inf(-1), 0.0
	for u := range p {
		if a.window > 0 && u < n-a.window {
			p[u] = math.Inf(-1)
			continue
		}
		for d := range a.D {
			p[u] += a.q[t*a.D+d] * a.k[u*a.D+d] * a.scale
		}
		top = max(top, p[u])
	}
	for u := range p {
		p[u] = math.Exp(p[u] - top)
		sum += p[u]
	}
	for u := range p {
		p[u] /= sum
	}
	return p, top + math.Log(sum)
}

// run fills out, lse and the gradients.
func (a *attention) run() {
	if a.scale == 0 {
		a.scale = 1 / math.Sqrt(float64(a.D))
	}
	a.out, a.dq, a.dk, a.dv = make([]float64, len(a.q)), make([]float64, len(a.q)), make([]float64, len(a.k)), make([]float64, len(a.v))
	for t := range a.T {
		p, lse := a.weights(t)
		a.lse = append(a.lse, lse)
		dp, dot := make([]float64, len(p)), 0.0
		for u := range p {
			for d := range a.D {
				a.out[t*a.D+d] += p[u] * a.mask(t, u) * a.v[u*a.D+d]
				a.dv[u*a.D+d] += p[u] * a.mask(t, u) * a.dout[t*a.D+d]
				dp[u] += a.mask(t, u) * a.dout[t*a.D+d] * a.v[u*a.D+d]
			}
			dot += p[u] * dp[u]
		}
		for u := range p {
			ds := p[u] * (dp[u] - dot) * a.scale
			for d := range a.D {
				a.dq[t*a.D+d] += ds * a.k[u*a.D+d]
				a.dk[u*a.D+d] += ds * a.q[t*a.D+d]
			}
		}
	}
}
