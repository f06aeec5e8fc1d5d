package pairs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tokenizer"
)

// byteEncoder has one token for each byte but "#".
type byteEncoder struct{}

func (byteEncoder) Encode(text []byte) ([]int32, error) {
	ids := make([]int32, len(text))
	for i, b := range text {
		if b == '#' {
			return nil, errors.New("no token")
		}
		ids[i] = int32(b)
	}
	return ids, nil
}

func TestEncodePolicies(t *testing.T) {
	t.Parallel()
	path := write(t, "a.tsv", "one\tun\nthree\ttrois\n#\tun\nquatre\tfour\nx\t#\nfive\tcinq\n")
	for _, c := range []struct {
		onLong, onBad Policy
		want          string // what is emitted, then the report or error
	}{
		{Skip, Skip, "one|un five|cinq | 6 pairs read, 2 kept; 2 that the tokenizer cannot encode (first in line 3: no token), 2 of too many tokens (first in line 2: a sentence of 5 tokens over the limit of 4)"},
		{"", "", "one|un five|cinq | 6 pairs read, 2 kept; 2 that the tokenizer cannot encode (first in line 3: no token), 2 of too many tokens (first in line 2: a sentence of 5 tokens over the limit of 4)"},
		{Truncate, Skip, "one|un three|troi quatr|four five|cinq | 6 pairs read, 4 kept; 2 that the tokenizer cannot encode (first in line 3: no token), 2 truncated (first in line 2: a sentence of 5 tokens over the limit of 4)"},
		{Fatal, Skip, "one|un | line 2 is too long: a sentence of 5 tokens over the limit of 4; raise it, or skip or truncate long ones"},
		{Truncate, Fatal, "one|un three|troi | line 3: unusable sentence: no token"},
	} {
		r := newReader(t, Options{Files: Files{Source: path}, OnBad: c.onBad})
		var got strings.Builder
		err := r.Encode(t.Context(), EncodeOptions{Source: byteEncoder{}, Target: byteEncoder{}, SourcePositions: 6, TargetPositions: 5, OnLong: c.onLong},
			func(part Part, source, target []int32) error {
				for _, id := range source {
					got.WriteByte(byte(id))
				}
				got.WriteByte('|')
				for _, id := range target {
					got.WriteByte(byte(id))
				}
				got.WriteByte(' ')
				return nil
			})
		if err != nil {
			fmt.Fprintf(&got, "| %s", strings.TrimPrefix(err.Error(), "pairs: "+path+": "))
		} else {
			fmt.Fprintf(&got, "| %v", r.Report())
		}
		if got.String() != c.want {
			t.Errorf("long %q, bad %q: %s", c.onLong, c.onBad, got.String())
		}
		if c.onLong == Fatal && !errors.Is(err, ErrTooLong) || c.onBad == Fatal && !errors.Is(err, ErrText) {
			t.Errorf("long %q, bad %q: error %v", c.onLong, c.onBad, err)
		}
	}
}

func TestEncodeEnds(t *testing.T) {
	t.Parallel()
	o := Options{Files: Files{Source: write(t, "a.tsv", "one\tun\n")}}
	e := EncodeOptions{Source: byteEncoder{}, Target: byteEncoder{}}
	none := func(Part, []int32, []int32) error { return nil }
	stop := errors.New("stop")
	if err := newReader(t, o).Encode(t.Context(), e, func(Part, []int32, []int32) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error of emit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newReader(t, o).Encode(ctx, e, none); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	for _, text := range []string{"", "\t\n", "#\t1\n"} {
		o := Options{Files: Files{Source: write(t, "a.tsv", text)}}
		if err := newReader(t, o).Encode(t.Context(), e, none); !errors.Is(err, ErrNoPairs) {
			t.Errorf("%q: error %v", text, err)
		}
	}
	for _, bad := range []EncodeOptions{{}, {Source: e.Source}, {Source: e.Source, Target: e.Target, SourcePositions: 1},
		{Source: e.Source, Target: e.Target, TargetPositions: MaxTokens + 2}, {Source: e.Source, Target: e.Target, OnLong: "cut"}} {
		if err := newReader(t, o).Encode(t.Context(), bad, none); err == nil {
			t.Errorf("%+v is no error", bad)
		}
	}
}

// From files to a stored set and back to text, each part in its own set.
func TestTextToSets(t *testing.T) {
	t.Parallel()
	multi := testkit.SharedPath(t, "data", "multi30k")
	o := Options{Files: Files{Source: multi + "/val.en.gz", Target: multi + "/val.fr.gz"}, Split: Split{Val: 0.2, Test: 0.2}}
	tok, err := tokenizer.TrainBPE(t.Context(), newReader(t, o).Text(Train, true, true), tokenizer.TrainOptions{VocabSize: 500})
	if err != nil {
		t.Fatal(err)
	}
	all, err := readAll(newReader(t, o))
	if err != nil {
		t.Fatal(err)
	}
	dir, v := t.TempDir(), Vocabulary{Size: tok.VocabSize()}
	var writers [Test + 1]*Writer
	for part := range writers {
		if writers[part], err = Create(dir, Part(part).String(), v, v); err != nil {
			t.Fatal(err)
		}
	}
	var done, total int64
	err = newReader(t, o).Encode(t.Context(), EncodeOptions{Source: tok, Target: tok, Progress: func(d, n int64) { done, total = d, n }},
		func(part Part, source, target []int32) error { return writers[part].Add(source, target) })
	if err != nil || done != total || total == 0 {
		t.Fatalf("%d of %d bytes, error %v", done, total, err)
	}
	decode := func(read func([]int32, int) (int, error), i int) string {
		ids := make([]int32, 1000)
		n, err := read(ids, i)
		if err != nil {
			t.Fatal(err)
		}
		text, err := tok.Decode(ids[:n])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for part := range writers {
		if err := writers[part].Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Part(part).String(), OpenOptions{Checksum: true})
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for i := range s.Len() {
			got = append(got, decode(s.Source, i), decode(s.Target, i))
		}
		for _, p := range all {
			if p.Part == Part(part) {
				want = append(want, p.Source, p.Target)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %d sentences came back as %d, not all the same", Part(part), len(want), len(got))
		}
		s.Close()
	}
}
