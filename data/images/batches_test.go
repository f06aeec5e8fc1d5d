package images

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// synthetic is a set of n images of size×size in memory, of the given number of
// classes.
func synthetic(n, size, classes int) *Set {
	s := &Set{classes: numbers(classes), size: size, norm: identity, table: identity.table(), threads: 1}
	f := &file{name: "synthetic.bin", place: &place{}, records: &records{bytes: 1}}
	for i := range n {
		s.samples = append(s.samples, sample{f, int32(i), int32(i * 7 % classes)})
		for p := range 3 * size * size {
			s.pixels = append(s.pixels, uint8(p*(2*i+1)+11*i))
		}
	}
	return s
}

func batches(t testing.TB, s *Set, o BatchOptions) *Batches {
	t.Helper()
	b, err := NewBatches(s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// whole returns the global batch of a step, fetched in pieces of n samples.
func whole(t testing.TB, b *Batches, step, n int) (pixels, targets []float32) {
	t.Helper()
	each, classes := len(b.partner), len(b.set.classes)
	pixels, targets = make([]float32, b.o.Batch*each), make([]float32, b.o.Batch*classes)
	for first := 0; first < b.o.Batch; first += n {
		k := min(n, b.o.Batch-first)
		if err := b.Batch(step, first, k, pixels[first*each:(first+k)*each], targets[first*classes:(first+k)*classes]); err != nil {
			t.Fatal(err)
		}
	}
	return pixels, targets
}

var everything = Augment{Crop: 2, Flip: true, RandOps: 2, RandMagnitude: 9, Erase: 0.5, Mixup: 0.8, CutMix: 1}

// The bits of a step do not depend on threads, batches ahead, micro-batches, the
// steps asked before, or whether images are in memory.
func TestBatchesAreAFunctionOfTheStep(t *testing.T) {
	t.Parallel()
	p := folder(t, classes3(t, 7, 10))
	inMemory, decoded := open(t, p, Options{}).Train, open(t, p, Options{MaxMemory: 1}).Train
	o := BatchOptions{Batch: 8, Augment: everything, LabelSmoothing: 0.1, Seed: 4, Threads: 1, Ahead: 1}
	const steps = 9 // over the ends of three epochs
	type result struct{ pixels, targets []float32 }
	var want [steps + 1]result
	b := batches(t, inMemory, o)
	for step := 1; step <= steps; step++ {
		want[step].pixels, want[step].targets = whole(t, b, step, o.Batch)
	}
	order := func(steps ...int) []int { return steps }
	for _, c := range []struct {
		set                 *Set
		threads, ahead, cut int
		steps               []int
	}{
		{inMemory, 1, 3, 3, order(1, 2, 3, 4, 5, 6, 7, 8, 9)},
		{inMemory, 2, 2, 8, order(1, 2, 3, 4, 5, 6, 7, 8, 9)},
		{inMemory, 5, 1, 1, order(5, 6, 7, 8, 9)},
		{inMemory, 5, 4, 5, order(9, 1, 8, 2, 3, 5, 5, 4, 9)},
		{decoded, 2, 2, 4, order(3, 4, 7, 6, 8)},
	} {
		o.Threads, o.Ahead = c.threads, c.ahead
		b := batches(t, c.set, o)
		for _, step := range c.steps {
			pixels, targets := whole(t, b, step, c.cut)
			if !slices.Equal(pixels, want[step].pixels) || !slices.Equal(targets, want[step].targets) {
				t.Errorf("%d threads, %d ahead, cut by %d: step %d has other bits", c.threads, c.ahead, c.cut, step)
			}
		}
	}
	o.Seed++
	if pixels, _ := whole(t, batches(t, inMemory, o), 1, 8); slices.Equal(pixels, want[1].pixels) {
		t.Error("another seed gives the same batch")
	}
}

// The bits of one batch, so that a change of any draw, order or rounding shows.
func TestGoldenBatch(t *testing.T) {
	t.Parallel()
	b := batches(t, synthetic(20, 16, 5), BatchOptions{Batch: 32, Augment: everything, LabelSmoothing: 0.1, Seed: 1})
	h := sha256.New()
	for step := 1; step <= 4; step++ {
		pixels, targets := whole(t, b, step, 8)
		for _, v := range append(pixels, targets...) {
			_ = binary.Write(h, binary.LittleEndian, math.Float32bits(v))
		}
	}
	const want = "f316a511fab5139e"
	if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != want {
		t.Errorf("the bits are %s, not %s", got, want)
	}
}

// Without augmentation every epoch is a permutation of the set, each another one,
// and batches run on over its end.
func TestEpochsArePermutations(t *testing.T) {
	t.Parallel()
	const n, batch = 37, 8
	s := synthetic(n, 1, n) // the class is a permutation of the image
	b := batches(t, s, BatchOptions{Batch: batch, Seed: 2})
	var order []int
	for step := 1; len(order) < 3*n; step++ {
		if epoch, done := b.Epoch(step); epoch != len(order)/n || done != float64(len(order)%n)/n {
			t.Errorf("step %d starts in epoch %d at %v", step, epoch, done)
		}
		pixels, targets := whole(t, b, step, batch)
		for i := range batch {
			class := slices.Index(targets[i*n:(i+1)*n], 1)
			image := slices.IndexFunc(s.samples, func(s sample) bool { return int(s.label) == class })
			order = append(order, image)
			for c := range 3 {
				if want := s.table[c][s.pixels[3*image+c]]; pixels[3*i+c] != want {
					t.Fatalf("step %d, sample %d: pixel %v, want %v", step, i, pixels[3*i+c], want)
				}
			}
		}
	}
	for e := range 3 {
		epoch := order[e*n : (e+1)*n]
		for image := range n {
			if !slices.Contains(epoch, image) {
				t.Errorf("epoch %d lacks image %d: %v", e, image, epoch)
			}
		}
		if e > 0 && slices.Equal(epoch, order[:n]) {
			t.Errorf("epoch %d has the order of epoch 0", e)
		}
	}
}

func TestShuffle(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 4, 5, 16, 17, 1000} {
		s := newShuffle(n)
		seen := make([]bool, n)
		for p := range n {
			seen[s.at(7, 3, p)] = true
		}
		if slices.Contains(seen, false) {
			t.Errorf("order of %d: %v", n, seen)
		}
	}
	// Each place is each image about as often as the others.
	const n, epochs = 10, 20000
	s := newShuffle(n)
	var count [n][n]int
	for e := range uint32(epochs) {
		for p := range n {
			count[p][s.at(1, e, p)]++
		}
	}
	for p, row := range count {
		for image, k := range row {
			if k < 1800 || k > 2200 { // 2000 ± 4.7 deviations
				t.Errorf("image %d is at place %d in %d of %d epochs", image, p, k, epochs)
			}
		}
	}
}

// Mixing is with the sample before in the global batch, whatever the cut.
func TestMixingWithinTheBatch(t *testing.T) {
	t.Parallel()
	const batch, classes = 6, 4
	s := synthetic(11, 4, classes)
	o := BatchOptions{Batch: batch, LabelSmoothing: 0.2, Seed: 8}
	plain := batches(t, s, o)
	for name, a := range map[string]Augment{"mixup": {Mixup: 1}, "CutMix": {CutMix: 1}} {
		o.Augment = a
		mixed := batches(t, s, o)
		for step := 1; step <= 5; step++ {
			pixels, targets := whole(t, plain, step, batch)
			got, gotTargets := whole(t, mixed, step, 2)
			m := a.mixture(4, o.Seed, uint32(step))
			for i := range batch {
				j := (i + batch - 1) % batch
				want := slices.Clone(pixels[i*48 : (i+1)*48])
				m.apply(want, pixels[j*48:(j+1)*48], 4)
				if !slices.Equal(got[i*48:(i+1)*48], want) {
					t.Errorf("%s, step %d: sample %d is not mixed with sample %d", name, step, i, j)
				}
				sum := 0.0
				for c := range classes {
					own, other := float64(targets[i*classes+c]), float64(targets[j*classes+c])
					value := float64(gotTargets[i*classes+c])
					sum += value
					if want := float64(m.share)*own + (1-float64(m.share))*other; math.Abs(value-want) > 1e-6 {
						t.Errorf("%s, step %d: target %d of sample %d is %v, want %v", name, step, c, i, value, want)
					}
				}
				if math.Abs(sum-1) > 1e-6 {
					t.Errorf("%s, step %d: targets of sample %d sum to %v", name, step, i, sum)
				}
			}
		}
	}
}

func TestLabelSmoothing(t *testing.T) {
	t.Parallel()
	s := synthetic(3, 1, 4)
	_, targets := whole(t, batches(t, s, BatchOptions{Batch: 3, LabelSmoothing: 0.1}), 1, 3)
	for i := range 3 {
		target := slices.Sorted(slices.Values(targets[4*i : 4*i+4]))
		if !slices.Equal(target, []float32{0.025, 0.025, 0.025, 0.925}) {
			t.Errorf("target %v", target)
		}
	}
}

func TestBatchErrors(t *testing.T) {
	t.Parallel()
	s := synthetic(5, 2, 3)
	for says, o := range map[string]BatchOptions{
		"a batch of 0": {}, "too large": {Batch: math.MaxInt32}, "smoothing": {Batch: 1, LabelSmoothing: 1},
		"threads": {Batch: 1, Threads: -1}, "ahead": {Batch: 1, Ahead: 65}, "crop": {Batch: 1, Augment: Augment{Crop: -1}},
	} {
		if _, err := NewBatches(s, o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	b := batches(t, s, BatchOptions{Batch: 4})
	pixels, targets := make([]float32, 2*12), make([]float32, 2*3)
	for _, c := range []struct {
		step, first, n  int
		pixels, targets []float32
	}{
		{0, 0, 2, pixels, targets}, {1, -1, 2, pixels, targets}, {1, 3, 2, pixels, targets},
		{1, 0, 1, pixels, targets[:3]}, {1, 0, 2, pixels, targets[:3]},
	} {
		if err := b.Batch(c.step, c.first, c.n, c.pixels, c.targets); err == nil {
			t.Errorf("step %d, samples from %d, %d: no error", c.step, c.first, c.n)
		}
	}
	if err := b.Batch(1, 2, 2, pixels, targets); err != nil {
		t.Error(err)
	}
	b.Close()
	if err := b.Batch(2, 0, 2, pixels, targets); err == nil {
		t.Error("closed batches give a batch")
	}
	for _, c := range [][2]int{{-1, 1}, {4, 2}, {0, -1}} {
		if err := s.Fill(c[0], c[1], pixels, make([]int32, 2)); err == nil {
			t.Errorf("Fill of %d images from %d: no error", c[1], c[0])
		}
	}
}

// A file that has gone since the set was opened is an error of the batch.
func TestBatchReportsLostFiles(t *testing.T) {
	t.Parallel()
	p := folder(t, classes3(t, 2, 4))
	s := open(t, p, Options{MaxMemory: 1}).Train
	s.samples[4].file.name = "bee/gone.png"
	b := batches(t, s, BatchOptions{Batch: 6})
	err := b.Batch(1, 0, 6, make([]float32, 6*48), make([]float32, 6*3))
	if err == nil || !strings.Contains(err.Error(), "gone.png") {
		t.Errorf("error %v", err)
	}
	if err := s.Fill(0, 6, make([]float32, 6*48), make([]int32, 6)); err == nil || !strings.Contains(err.Error(), "gone.png") {
		t.Errorf("Fill: %v", err)
	}
}

// Not parallel: it counts the allocations of the process.
func TestBatchesAllocateNothing(t *testing.T) {
	s := synthetic(50, 16, 5)
	b := batches(t, s, BatchOptions{Batch: 16, Augment: everything, Seed: 1})
	pixels, targets := make([]float32, 16*3*256), make([]float32, 16*5)
	step := 0
	if n := testing.AllocsPerRun(100, func() {
		step++
		if err := b.Batch(step, 0, 16, pixels, targets); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}
