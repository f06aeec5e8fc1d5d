package metric

import (
	"math"

	"github.com/bdia-go/bdia/internal/pmath"
)

// topK is the number of guesses in top-5 accuracy.
const topK = 5

// maxConfusion is the largest number of classes with a confusion matrix.
const maxConfusion = 1024

// Classification counts the answers of a classifier on labelled samples.
type Classification struct {
	Classes   int
	Samples   int
	Top1      int     // samples with their class as the most likely one
	Top5      int     // samples with their class among the five most likely
	LossSum   float64 // sum of negative log-likelihoods, nats
	Confusion []int   // (Classes,Classes): samples of class row taken for class column; nil for more than 1024 classes

	of, found, taken []int // by class: its samples, its samples classified correctly, all samples classified as it
}

// NewClassification returns empty counts.
func NewClassification(classes int) *Classification {
	c := &Classification{Classes: classes, of: make([]int, classes), found: make([]int, classes), taken: make([]int, classes)}
	if classes <= maxConfusion {
		c.Confusion = make([]int, classes*classes)
	}
	return c
}

// Add counts a sample of class label with the given logits, one for each class.
// Of equal logits the first counts as more likely.
func (c *Classification) Add(logits []float32, label int) {
	best, ahead := 0, 0
	for k, v := range logits {
		if v > logits[best] {
			best = k
		}
		if v > logits[label] || v == logits[label] && k < label {
			ahead++
		}
	}
	c.Samples++
	c.of[label]++
	c.taken[best]++
	if c.Confusion != nil {
		c.Confusion[label*c.Classes+best]++
	}
	if ahead == 0 {
		c.Top1++
		c.found[label]++
	}
	if ahead < topK {
		c.Top5++
	}
	top := float64(logits[best])
	var sum float64
	for _, v := range logits {
		sum += pmath.Exp(float64(v) - top)
	}
	c.LossSum += pmath.Log(sum) + (top - float64(logits[label]))
}

// Loss returns the mean negative log-likelihood in nats.
func (c *Classification) Loss() float64 { return c.LossSum / float64(c.Samples) }

// Accuracy returns the share of samples with their class as the most likely
// one.
func (c *Classification) Accuracy() float64 { return float64(c.Top1) / float64(c.Samples) }

// Top5Accuracy returns the share of samples with their class among the five
// most likely.
func (c *Classification) Top5Accuracy() float64 { return float64(c.Top5) / float64(c.Samples) }

// Class returns the number of samples of class k; its recall, the share of them
// classified as k; and its precision, the share of samples classified as k that
// belong to it. A share of no samples is NaN.
func (c *Classification) Class(k int) (samples int, recall, precision float64) {
	found := float64(c.found[k])
	return c.of[k], found / float64(c.of[k]), found / float64(c.taken[k])
}

// Softmax writes the probabilities of logits to dst, which may be logits.
func Softmax(dst, logits []float32) {
	top := math.Inf(-1)
	for _, v := range logits {
		top = max(top, float64(v))
	}
	var sum float64
	for _, v := range logits {
		sum += pmath.Exp(float64(v) - top)
	}
	for i, v := range logits {
		dst[i] = float32(pmath.Exp(float64(v)-top) / sum)
	}
}
