package generate

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
)

// words is a model for translation of 10 tokens and 3 special ones.
var words = model.Seq2SeqConfig{SourceVocab: 13, TargetVocab: 13, SourceContext: 20, TargetContext: 14,
	EncoderLayers: 2, DecoderLayers: 2, Heads: 2, Width: 12, Shared: true, Untied: true}

var special = pairs.Special{SourceEnd: 11, SourcePad: 12, Begin: 10, End: 11, Pad: 12}

// newSeq2Seq returns words on be.
func newSeq2Seq(t *testing.T, be backend.Backend) *model.Seq2Seq {
	t.Helper()
	m, err := model.NewSeq2Seq(be, words, bdia.Options{Memory: bdia.Store, Grid: bdia.DefaultGrid})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(6)
	for _, p := range m.Params() {
		if p.Decay { // so that the model has an opinion
			be.Scale(p.Value, 12)
		}
	}
	return m
}

func newCPU(t *testing.T, arena int64) *cpu.Backend {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: arena})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	return be
}

// newTranslator returns one with a model of its own, and room for what it rehearses.
func newTranslator(t *testing.T, o TranslateOptions) (*Translator, *cpu.Backend) {
	t.Helper()
	planner := plan.New(cpu.ScratchBytes(1))
	var be *cpu.Backend
	var tr *Translator
	for _, rehearsal := range []bool{true, false} {
		on := backend.Backend(planner)
		if !rehearsal {
			be = newCPU(t, planner.Peak().Total)
			on = be
		}
		var err error
		if tr, err = NewTranslator(newSeq2Seq(t, on), special, 10, bdia.DefaultGrid, o); err != nil {
			t.Fatal(err)
		}
		if rehearsal {
			if err := tr.Rehearse(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return tr, be
}

// sentences returns n sentences of 0 to 19 tokens.
func sentences(n int) [][]int32 {
	out := make([][]int32, n)
	for i := range out {
		key := rng.Key{Seed: 8, Sample: uint32(i)}
		out[i] = make([]int32, key.At(1000)[0]%20)
		for j := range out[i] {
			out[i][j] = int32(key.At(uint32(j))[0] % 10)
		}
	}
	return out
}

// translate returns the translations in the order of the sources.
func translate(t *testing.T, tr *Translator, sources [][]int32) [][]Hypothesis {
	t.Helper()
	out := make([][]Hypothesis, len(sources))
	if err := tr.Translate(sources, func(i int, best []Hypothesis) error {
		if out[i] != nil {
			t.Errorf("source %d was translated twice", i)
		}
		out[i] = best
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// uncached is a Decoder without memory: it has the model compute every hypothesis
// from its beginning, at each step.
type uncached struct {
	m       *model.Seq2Seq
	sources [][]int32
	beams   int
	texts   [][]int32
}

func (d *uncached) Next(dst []float32, ids []int32) error {
	for i, id := range ids {
		d.texts[i] = append(slices.Clip(d.texts[i]), id)
		source := append(slices.Clip(d.sources[i/d.beams]), special.SourceEnd)
		T, V := len(d.texts[i]), words.TargetVocab
		all := make([]float32, T*V)
		b := model.PairBatch{B: 1, S: len(source), T: T, Source: source, Input: d.texts[i], SourceLengths: []int32{int32(len(source))}}
		if err := d.m.Logits(all, b, bdia.DefaultGrid); err != nil {
			return err
		}
		copy(dst[i*V:(i+1)*V], all[(T-1)*V:])
	}
	return nil
}

func (d *uncached) Reorder(parents []int32) {
	texts := make([][]int32, len(parents))
	for i, p := range parents {
		texts[i] = d.texts[p]
	}
	d.texts = texts
}

// TestTranslate: sentences translated in batches, one by one, and without cached
// keys and values are the same in tokens and in the bits of their scores. A beam of
// 1 writes the likeliest token each time.
func TestTranslate(t *testing.T) {
	t.Parallel()
	sources := sentences(24)
	for _, beam := range []int{1, 2, 5} {
		t.Run(fmt.Sprintf("beam %d", beam), func(t *testing.T) {
			t.Parallel()
			o := TranslateOptions{SearchOptions{beam, 1, beam}, 0, 600}
			tr, be := newTranslator(t, o)
			mark := be.Mark()
			got := translate(t, tr, sources)
			if be.Mark() != mark {
				t.Error("memory is left allocated")
			}
			o.BatchTokens = 1
			alone, _ := newTranslator(t, o)
			lengths := map[int]bool{}
			for i, best := range got {
				if one := translate(t, alone, sources[i:i+1])[0]; !reflect.DeepEqual(one, best) {
					t.Errorf("source %d: %v in a batch, %v alone", i, best, one)
				}
				d := &uncached{tr.model, sources[i : i+1], beam, make([][]int32, beam)}
				slow := mustRun(t, tr.search, d, Start{special.Begin, tr.most(len(sources[i]))})[0]
				if !reflect.DeepEqual(slow, best) {
					t.Errorf("source %d: %v with cached keys, %v without", i, best, slow)
				}
				for _, h := range best {
					lengths[len(h.IDs)] = true
					if slices.ContainsFunc(h.IDs, func(id int32) bool { return id >= 10 }) || len(h.IDs) > words.TargetContext-1 {
						t.Errorf("source %d: %v", i, h.IDs)
					}
				}
			}
			if len(lengths) < 3 {
				t.Errorf("all translations have one of the lengths %v: little was tested", lengths)
			}
			if beam > 1 {
				return
			}
			for i, source := range sources {
				if want := greedy(t, tr.model, source); !slices.Equal(got[i][0].IDs, want) {
					t.Errorf("source %d: %v, greedily %v", i, got[i][0].IDs, want)
				}
			}
		})
	}
}

// greedy takes the likeliest token each time, of those that are text or the end.
func greedy(t *testing.T, m *model.Seq2Seq, source []int32) (text []int32) {
	t.Helper()
	d := &uncached{m, [][]int32{source}, 1, make([][]int32, 1)}
	row, id := make([]float32, words.TargetVocab), special.Begin
	for len(text) < words.TargetContext-1 {
		if err := d.Next(row, []int32{id}); err != nil {
			t.Fatal(err)
		}
		may := append(slices.Clone(row[:10]), row[special.End])
		if id = int32(slices.Index(may, slices.Max(may))); id == 10 {
			break
		}
		text = append(text, id)
	}
	return text
}

// TestMaxTokens: translations end at the most tokens asked for, or by the source.
func TestMaxTokens(t *testing.T) {
	t.Parallel()
	o := TranslateOptions{SearchOptions{2, 1, 1}, 3, 100}
	tr, _ := newTranslator(t, o)
	longest := 0
	for _, best := range translate(t, tr, sentences(12)) {
		longest = max(longest, len(best[0].IDs))
	}
	if longest != 3 {
		t.Errorf("the longest of translations of at most 3 tokens has %d", longest)
	}
	tr.model.Config.TargetContext = 100
	tr.options.MaxTokens = 0
	for n, want := range map[int]int{0: 50, 10: 60, 49: 99, 50: 99} {
		if got := tr.most(n); got != want {
			t.Errorf("at most %d tokens for a source of %d, want %d", got, n, want)
		}
	}
}

// TestTranslatorRoom: the arena that Rehearse plans is taken to the byte by the
// largest batches, and no batch takes more, whatever the lengths in it.
func TestTranslatorRoom(t *testing.T) {
	t.Parallel()
	for _, o := range []TranslateOptions{
		{SearchOptions{1, 1, 1}, 0, 300}, {SearchOptions{3, 1, 1}, 2, 300}, {SearchOptions{4, 1, 1}, 0, 1}, {SearchOptions{2, 1, 1}, 0, 2000},
	} {
		tr, be := newTranslator(t, o)
		var largest int64
		for n := range words.SourceContext {
			sources := make([][]int32, 60)
			for i := range sources {
				sources[i] = make([]int32, n)
			}
			translate(t, tr, sources)
			largest = max(largest, be.Peak().Total)
		}
		planner := plan.New(cpu.ScratchBytes(1))
		rehearsed, err := NewTranslator(newSeq2Seq(t, planner), special, 10, bdia.DefaultGrid, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := rehearsed.Rehearse(); err != nil {
			t.Fatal(err)
		}
		if largest != planner.Peak().Total {
			t.Errorf("%+v: %d bytes, planned %d", o, largest, planner.Peak().Total)
		}
	}
}

func TestTranslatorErrors(t *testing.T) {
	t.Parallel()
	o := TranslateOptions{SearchOptions{1, 1, 1}, 0, 300}
	tr, _ := newTranslator(t, o)
	for name, source := range map[string][]int32{"too long": make([]int32, 20), "unknown": {1, 13}} {
		err := tr.Translate([][]int32{{1}, source}, func(i int, _ []Hypothesis) error { return nil })
		if !errors.Is(err, model.ErrBatch) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	stop, n := errors.New("stop"), 0
	if err := tr.Translate(sentences(9), func(int, []Hypothesis) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d calls after an error, which becomes %v", n, err)
	}
	for says, with := range map[string]func() (pairs.Special, int, TranslateOptions){
		"0 tokens and":             func() (pairs.Special, int, TranslateOptions) { return special, 0, o },
		"14 tokens and":            func() (pairs.Special, int, TranslateOptions) { return special, 14, o },
		"the special token 13 for": func() (pairs.Special, int, TranslateOptions) { return pairs.Special{End: 13}, 10, o },
		"special token -1":         func() (pairs.Special, int, TranslateOptions) { return pairs.Special{Begin: -1}, 10, o },
		"batches of 0": func() (pairs.Special, int, TranslateOptions) {
			return special, 10, TranslateOptions{SearchOptions{1, 1, 1}, 0, 0}
		},
		"translations of -1": func() (pairs.Special, int, TranslateOptions) {
			return special, 10, TranslateOptions{SearchOptions{1, 1, 1}, -1, 9}
		},
		"beam of 0": func() (pairs.Special, int, TranslateOptions) { return special, 10, TranslateOptions{BatchTokens: 9} },
	} {
		s, tokens, o := with()
		if _, err := NewTranslator(tr.model, s, tokens, bdia.NoGrid, o); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}
