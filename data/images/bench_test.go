package images

import (
	"bytes"
	"image/jpeg"
	"testing"
)

// BenchmarkBatches measures whole batches of CIFAR's size, in images a second, as
// a training loop that does nothing else would get them.
func BenchmarkBatches(b *testing.B) {
	for _, c := range []struct {
		name string
		a    Augment
	}{
		{"plain", Augment{}},
		{"crop+flip", Augment{Crop: 4, Flip: true}},
		{"crop+flip+randaugment", Augment{Crop: 4, Flip: true, RandOps: 2, RandMagnitude: 9}},
		{"crop+flip+mixup", Augment{Crop: 4, Flip: true, Mixup: 0.8}},
		{"everything", everything},
	} {
		b.Run(c.name, func(b *testing.B) {
			const batch = 128
			set := synthetic(2000, 32, 10)
			l := batches(b, set, BatchOptions{Batch: batch, Augment: c.a, Seed: 1})
			pixels, targets := make([]float32, batch*cifarPixels), make([]float32, batch*10)
			step := 0
			b.ReportAllocs()
			for b.Loop() {
				step++
				if err := l.Batch(step, 0, batch, pixels, targets); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(step*batch)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name       string
		from, size int
	}{{"32", 32, 32}, {"512to224", 512, 224}} {
		b.Run(c.name, func(b *testing.B) {
			file := pngOf(b, pattern(c.from, c.from, 1))
			planes := make([]uint8, 3*c.size*c.size)
			for b.Loop() {
				if _, err := decode(file, c.size, planes, LatestReading); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecodeJPEG decodes a photograph's size, as both versions of reading do.
func BenchmarkDecodeJPEG(b *testing.B) {
	var file bytes.Buffer
	if err := jpeg.Encode(&file, pattern(512, 384, 1), nil); err != nil {
		b.Fatal(err)
	}
	planes := make([]uint8, 3*224*224)
	for name, reading := range map[string]Reading{"first": FirstReading, "latest": LatestReading} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := decode(file.Bytes(), 224, planes, reading); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
