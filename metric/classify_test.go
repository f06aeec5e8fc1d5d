package metric

import (
	"math"
	"slices"
	"testing"
)

// TestClassification holds a few samples against counts made by hand.
func TestClassification(t *testing.T) {
	t.Parallel()
	c := NewClassification(7)
	for _, s := range []struct {
		logits []float32
		label  int
	}{
		{[]float32{0, 3, 1, 1, 1, 1, 1}, 1}, // right
		{[]float32{0, 3, 1, 1, 1, 1, 1}, 0}, // the last of seven
		{[]float32{0, 3, 1, 1, 1, 1, 1}, 5}, // fifth: of the equal ones the first count more
		{[]float32{0, 3, 1, 1, 1, 1, 1}, 6}, // sixth
		{[]float32{2, 2, 0, 0, 0, 0, 0}, 1}, // second of two equal ones
		{[]float32{2, 2, 0, 0, 0, 0, 0}, 0},
	} {
		c.Add(s.logits, s.label)
	}
	if c.Samples != 6 || c.Top1 != 2 || c.Top5 != 4 {
		t.Errorf("%d samples, %d right, %d among five", c.Samples, c.Top1, c.Top5)
	}
	if got := c.Confusion[:14]; !slices.Equal(got, []int{1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0}) {
		t.Errorf("classes 0 and 1 are taken for %v", got)
	}
	if n, recall, precision := c.Class(1); n != 2 || recall != 0.5 || precision != 0.25 {
		t.Errorf("class 1: %d samples, recall %v, precision %v", n, recall, precision)
	}
	if n, recall, precision := c.Class(3); n != 0 || !math.IsNaN(recall) || !math.IsNaN(precision) {
		t.Errorf("class 3: %d samples, recall %v, precision %v", n, recall, precision)
	}
	many := NewClassification(maxConfusion + 1)
	many.Add(make([]float32, maxConfusion+1), 7)
	if n, recall, _ := many.Class(7); many.Confusion != nil || n != 1 || recall != 0 {
		t.Errorf("many classes: %d samples of class 7, recall %v; %d pairs are counted", n, recall, len(many.Confusion))
	}
	z := 1 + math.Exp(3) + 5*math.E
	want := (4*math.Log(z) - 3 - 1 - 1 + 2*(math.Log(2*math.Exp(2)+5)-2)) / 6
	if math.Abs(c.Loss()-want) > 1e-12 {
		t.Errorf("loss %v, want %v", c.Loss(), want)
	}
}

// TestLargeLogits: no exponential overflows, and what is not finite shows.
func TestLargeLogits(t *testing.T) {
	t.Parallel()
	c := NewClassification(2)
	c.Add([]float32{1e30, 0}, 0)
	c.Add([]float32{-1e30, -1e30}, 1)
	if got := c.Loss(); math.Abs(got-math.Ln2/2) > 1e-12 {
		t.Errorf("loss %v", got)
	}
	p := make([]float32, 2)
	if Softmax(p, []float32{1e30, 1e30}); p[0] != 0.5 || p[1] != 0.5 {
		t.Errorf("probabilities %v", p)
	}
	c.Add([]float32{float32(math.NaN()), 0}, 1)
	if !math.IsNaN(c.Loss()) {
		t.Error("a logit that is no number does not show in the loss")
	}
}
