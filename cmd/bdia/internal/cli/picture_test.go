package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/data/tally"
	"github.com/bdia-go/bdia/train"
)

// TestPicture: a picture fits the terminal, says all that was left out, and shows what is learned of a sample.
func TestPicture(t *testing.T) {
	t.Parallel()
	p := train.Picture{
		Counts: []train.Count{{What: "files", Read: 1, Used: 1}, {What: "pairs", Read: 1204, Used: 1190}},
		LeftOut: tally.List{
			{What: "pairs", Reason: "with a column missing", Count: 14, First: "answers.csv, line 17: 1 column of 2"},
			{What: "pairs", Reason: "of more tokens than the context, cut at the end", Count: 1, First: "answers.csv, line 903: 1,311 tokens", Kept: true},
		},
		Parts:   []train.Part{{Name: "train", Samples: 1071, Unit: "tokens", Losses: 54321}, {Name: "val", Samples: 119, Unit: "tokens", Losses: 5432}},
		Lengths: []train.Lengths{{What: "prompt", Unit: "tokens", Min: 3, Median: 12, P90: 33, P99: 60, Max: 1311}},
		Notes:   []string{`prompts are column "question", completions are column "answer"`},
		Samples: []train.Sample{{Place: "answers.csv, line 2", Pieces: []train.Piece{
			{Text: "What is \x1b[2J it?"}, {Text: "\n"}, {Text: "  Nothing.\nReally", Counts: true}, {Text: "<|endoftext|>", Counts: true}}}},
	}
	want := `Read       1 file, 1,204 pairs (1,190 used)
Left out   14 pairs with a column missing; first: answers.csv, line 17: 1 column
           of 2
Changed    1 pair of more tokens than the context, cut at the end; first:
           answers.csv, line 903: 1,311 tokens
Train on   1,071 pairs, 54,321 tokens
Held out   119 pairs, 5,432 tokens
Lengths    prompt: 3 to 1,311 tokens; half <= 12, 90% <= 33, 99% <= 60
Note       prompts are column "question", completions are column "answer"
Sample     answers.csv, line 2; lines with > are learned:
           | What is ` + "\ufffd" + `[2J it?\n
           >   Nothing.
           > Really<|endoftext|>
`
	var b bytes.Buffer
	PrintPicture(&b, p, 80)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestPictureOfImages: classes are named with their sizes.
func TestPictureOfImages(t *testing.T) {
	t.Parallel()
	p := train.Picture{
		Counts:  []train.Count{{What: "images", Read: 5, Used: 5}},
		Parts:   []train.Part{{Name: "train", Samples: 5, Unit: "images", Losses: 5}},
		Classes: []train.Class{{Name: "cat", Train: 3, Val: 1}, {Name: "dog", Train: 1}},
		Samples: []train.Sample{{Place: "cat/1.png", Pieces: []train.Piece{{Text: "32x32 pixels"}, {Text: "cat", Counts: true}}}},
	}
	want := `Read       5 images
Train on   5 images
Classes    2 (train+held out): cat 3+1, dog 1
Sample     cat/1.png; lines with > are learned:
           | 32x32 pixels
           > cat
`
	var b bytes.Buffer
	PrintPicture(&b, p, 80)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestLongSample: of a long text the beginning and the end are shown, in lines that fit, wide letters too.
func TestLongSample(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("a", 5000), strings.Repeat("語", 5000), strings.Repeat("x\n", 5000), strings.Repeat("ab\t", 900), "\n\n\n\n\n\n\n\n"} {
		lines := clipped(text, 40)
		if len(lines) > mostLines+1 {
			t.Errorf("%q... takes %d lines: %q", text[:3], len(lines), lines)
		}
		for _, line := range lines {
			columns := 0
			for _, r := range line {
				columns += runeColumns(r)
			}
			if columns > 40 {
				t.Errorf("a line of %d columns: %q", columns, line)
			}
		}
	}
	if got, want := clipped("a\nb", 40), []string{"a", "b"}; !cmp.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestManyClasses: of many classes the first, the smallest and the largest are named.
func TestManyClasses(t *testing.T) {
	t.Parallel()
	var classes []train.Class
	for i := range 1000 {
		classes = append(classes, train.Class{Name: fmt.Sprint("c", i), Train: int64(500 + (i*7)%1000), Val: 50})
	}
	text := classText(classes)
	if want := " and 988 more; the smallest is c0 500+50, the largest c857 1,499+50"; !strings.HasSuffix(text, want) || !strings.HasPrefix(text, "1,000 (train+held out): c0 500+50, c1 507+50, ") {
		t.Errorf("%s, want the end %s", text, want)
	}
}
