package model_test

import (
	"fmt"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// TestDecodingLeavesOut: sources that are done with can be left out, also several at
// a time and before the first token; those that go on keep their bits.
func TestDecodingLeavesOut(t *testing.T) {
	t.Parallel()
	const B, beams, positions = 5, 2, 8
	c := tinyPairs()
	c.TargetContext = positions
	be := newCPU(t, 2)
	m := newSeq2Seq(t, be, c, bdia.DefaultOptions())
	b := newPairs(c, B)
	mark := be.Mark()
	d, err := m.Decode(b, beams, positions, bdia.DefaultGrid)
	if err != nil {
		t.Fatal(err)
	}
	sources := []int{0, 1, 2, 3, 4}
	texts := make([][]int32, B*beams)
	for at := range positions {
		if left, ok := map[int][]int{0: {0, 1, 2, 4}, 3: {1, 3}, 5: {0, 1}, 6: {1}}[at]; ok { // of those at hand
			var parents []int32
			var nextSources []int
			var nextTexts [][]int32
			for _, i := range left {
				nextSources = append(nextSources, sources[i])
				for r := range beams { // which change places
					p := i*beams + beams - 1 - r
					parents, nextTexts = append(parents, int32(p)), append(nextTexts, texts[p])
				}
			}
			d.Reorder(parents)
			sources, texts = nextSources, nextTexts
		}
		N := len(sources) * beams
		ids, logits := make([]int32, N), make([]float32, N*c.TargetVocab)
		for i := range ids {
			ids[i] = int32((3*at + 5*i + 1) % c.TargetVocab)
			texts[i] = append(texts[i][:at:at], ids[i])
		}
		if err := d.Next(logits, ids); err != nil {
			t.Fatal(err)
		}
		T := at + 1
		whole := model.NewPairBatch(N, b.S, T)
		for i, text := range texts {
			source := sources[i/beams]
			copy(whole.Source[i*b.S:], b.Source[source*b.S:][:b.S])
			whole.SourceLengths[i] = b.SourceLengths[source]
			copy(whole.Input[i*T:], text)
		}
		other, all := newSeq2Seq(t, newCPU(t, 1), c, bdia.DefaultOptions()), make([]float32, N*T*c.TargetVocab)
		if err := other.Logits(all, whole, bdia.DefaultGrid); err != nil {
			t.Fatal(err)
		}
		for i := range texts {
			testkit.EqualBits(t, fmt.Sprintf("position %d of source %d", at, sources[i/beams]),
				logits[i*c.TargetVocab:][:c.TargetVocab], all[(i*T+at)*c.TargetVocab:][:c.TargetVocab])
		}
	}
	for _, parents := range [][]int32{{}, {0}, {1, 2}, {0, 1, 0, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("parents %v are taken", parents)
				}
			}()
			d.Reorder(parents)
		}()
	}
	d.Close()
	if be.Mark() != mark {
		t.Error("memory is left allocated")
	}
}
