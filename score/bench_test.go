package score

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// corpusOf makes n segments of about 20 words: a hypothesis that is near its
// reference, as a good translation is.
func corpusOf(n int) (segments []segment, bytes int64) {
	r := rand.New(rand.NewPCG(5, 6))
	words := strings.Fields("the a of and to in is that it was for on are with as his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know")
	for range n {
		var ref []string
		for range 15 + r.IntN(10) {
			ref = append(ref, words[r.IntN(len(words))])
		}
		s := segment{disturbed(r, strings.Join(ref, " ")) + ".", []string{strings.Join(ref, " ") + "."}}
		segments, bytes = append(segments, s), bytes+int64(len(s.hyp)+len(s.refs[0]))
	}
	return segments, bytes
}

func benchmark(b *testing.B, m Metric) {
	segments, bytes := corpusOf(1000)
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		scoreOf(m, segments)
	}
}

func BenchmarkBLEU(b *testing.B) { benchmark(b, mustBLEU(b, DefaultBLEU())) }
func BenchmarkCHRF(b *testing.B) { benchmark(b, mustCHRF(b, DefaultCHRF())) }
func BenchmarkTER(b *testing.B)  { benchmark(b, NewTER(TEROptions{})) }

// BenchmarkTERFar is the worst case: nothing but confusable words.
func BenchmarkTERFar(b *testing.B) {
	text := strings.Repeat("a b a c ", 50)
	turned := strings.Repeat("c a b a ", 50)
	m := NewTER(TEROptions{})
	for b.Loop() {
		m.Reset()
		m.Add(text, turned)
	}
}
