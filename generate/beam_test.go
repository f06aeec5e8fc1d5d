package generate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
)

// whole is a Decoder that has the model compute every hypothesis from its beginning.
type whole struct {
	m     *model.GPT
	texts [][]int32
}

func (d *whole) Next(dst []float32, ids []int32) error {
	V := d.m.Config.Vocab
	for i, id := range ids {
		d.texts[i] = append(slices.Clip(d.texts[i]), id)
		if err := d.m.NextLogits(dst[i*V:(i+1)*V], d.texts[i], bdia.DefaultGrid); err != nil {
			return err
		}
	}
	return nil
}

func (d *whole) Reorder(parents []int32) {
	texts := make([][]int32, len(parents))
	for i, p := range parents {
		texts[i] = d.texts[p]
	}
	d.texts = texts
}

// TestBeam: what is found with cached keys and values is what is found without, in
// tokens and in the bits of its scores; the probabilities are those of the texts.
func TestBeam(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	m.Config.Context = 6
	V := m.Config.Vocab
	for _, prompt := range [][]int32{{3}, {4, 1}, {0, 11, 5}} {
		for _, beam := range []int{1, 2, 5} {
			for _, ends := range [][]int32{nil, {2}, {9}, {9, 2}} {
				name := fmt.Sprintf("%v beam %d ends %d", prompt, beam, ends)
				o := SearchOptions{Beam: beam, LengthPenalty: 0.8, NBest: beam}
				got, err := Beam(m, prompt, 12, ends, 4, o, bdia.DefaultGrid)
				if err != nil {
					t.Fatal(err)
				}
				most := min(4, 6-len(prompt))
				d := &whole{m, make([][]int32, beam)}
				for i := range d.texts {
					d.texts[i] = slices.Clone(prompt[:len(prompt)-1])
				}
				s := Search{SearchOptions: o, Ends: ends, Text: slices.Repeat([]bool{true}, V)}
				if want := mustRun(t, s, d, Start{prompt[len(prompt)-1], most})[0]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %v, without a cache %v", name, got, want)
				}
				for i, h := range got {
					if ends == nil && len(h.IDs) != most || len(h.IDs) > most || slices.ContainsFunc(h.IDs, func(id int32) bool { return slices.Contains(ends, id) }) || i > 0 && h.Score > got[i-1].Score {
						t.Errorf("%s: hypothesis %d is %v", name, i, h)
					}
					ids, want := h.IDs, 0.0
					if ends != nil {
						row := logits(m, append(slices.Clone(prompt), ids...))
						ids = append(slices.Clone(ids), slices.MaxFunc(ends, func(a, b int32) int { return cmp.Compare(row[a], row[b]) }))
					}
					for n, id := range ids {
						row := logits(m, append(slices.Clone(prompt), ids[:n]...))
						want += float64(row[id]) - logSumExp(row)
					}
					if score := want / math.Pow(float64(len(ids)), 0.8); math.Abs(h.LogProb-want) > 1e-9 || math.Abs(h.Score-score) > 1e-9 {
						t.Errorf("%s: %v has log-probability %v, score %v", name, h, want, score)
					}
				}
			}
		}
	}
}

// TestBeamEach: prompts searched together give what they give alone.
func TestBeamEach(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	prompts := [][]int32{{3}, {4, 1}, {0, 11, 5, 2, 8}, {9, 9, 9}, {4}}
	for _, ends := range [][]int32{nil, {2}} {
		o := SearchOptions{Beam: 3, LengthPenalty: 0.8, NBest: 2}
		got, err := BeamEach(t.Context(), m, prompts, 12, ends, 4, o, bdia.DefaultGrid)
		if err != nil || len(got) != len(prompts) {
			t.Fatal(len(got), err)
		}
		for i, prompt := range prompts {
			if want, err := Beam(m, prompt, 12, ends, 4, o, bdia.DefaultGrid); err != nil || !reflect.DeepEqual(got[i], want) {
				t.Errorf("%v: %v together, %v alone, %v", prompt, got[i], want, err)
			}
		}
	}
	if got, err := BeamEach(t.Context(), m, nil, 12, []int32{2}, 4, SearchOptions{1, 1, 1}, bdia.DefaultGrid); err != nil || len(got) != 0 {
		t.Errorf("%v, %v of no prompts", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := BeamEach(ctx, m, prompts, 12, []int32{2}, 4, SearchOptions{1, 1, 1}, bdia.DefaultGrid); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the end of the context", err)
	}
}

// TestBeamOne: a beam of one is greedy.
func TestBeamOne(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	o := DefaultOptions()
	o.Temperature, o.MaxTokens = 0, 4
	got, err := Beam(m, []int32{7, 3}, 12, nil, 4, SearchOptions{1, 1, 1}, bdia.DefaultGrid)
	if want := tokens(t, m, []int32{7, 3}, o); err != nil || !slices.Equal(got[0].IDs, want) {
		t.Errorf("%v, %v, greedily %v", got, err, want)
	}
}

// TestBeamRoom: RehearseBeam plans the memory to the byte.
func TestBeamRoom(t *testing.T) {
	t.Parallel()
	cfg := model.GPTConfig{Vocab: 12, Context: 70, Layers: 2, Heads: 2, Width: 16}
	o := SearchOptions{Beam: 3, LengthPenalty: 1, NBest: 1}
	for _, n := range []int{1, 2, 60, 69} {
		planner, be := plan.New(cpu.ScratchBytes(1)), newCPU(t, cpu.ScratchBytes(1)+1<<20)
		for _, on := range []backend.Backend{planner, be} {
			m, err := model.NewGPT(on, cfg, bdia.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			if m.Init(1); on == planner {
				err = RehearseBeam(m, 2, n, 20, o, bdia.NoGrid)
			} else {
				_, err = BeamEach(t.Context(), m, [][]int32{make([]int32, n), make([]int32, n)}, 12, []int32{3}, 20, o, bdia.NoGrid)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, want := be.Peak(), planner.Peak(); got != want {
			t.Errorf("after %d tokens: %v, planned %v", n, got, want)
		}
	}
}

func TestBeamErrors(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	o := SearchOptions{2, 1, 1}
	for says, f := range map[string]func() error{
		"is empty":                        func() error { _, err := Beam(m, nil, 12, []int32{0}, 4, o, bdia.NoGrid); return err },
		"0 tokens":                        func() error { _, err := Beam(m, []int32{1}, 12, []int32{0}, 0, o, bdia.NoGrid); return err },
		"leaves no room":                  func() error { _, err := Beam(m, make([]int32, 6), 12, []int32{0}, 4, o, bdia.NoGrid); return err },
		"is 12; the":                      func() error { _, err := Beam(m, []int32{12}, 12, []int32{0}, 4, o, bdia.NoGrid); return err },
		"the ends [12] for a model of 12": func() error { _, err := Beam(m, []int32{1}, 12, []int32{12}, 4, o, bdia.NoGrid); return err },
		"0 tokens and":                    func() error { _, err := Beam(m, []int32{1}, 0, []int32{0}, 4, o, bdia.NoGrid); return err },
		"13 tokens and":                   func() error { _, err := Beam(m, []int32{1}, 13, []int32{0}, 4, o, bdia.NoGrid); return err },
		"beam of 0": func() error {
			_, err := Beam(m, []int32{1}, 12, []int32{0}, 4, SearchOptions{}, bdia.NoGrid)
			return err
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}
