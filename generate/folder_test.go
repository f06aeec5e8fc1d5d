package generate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

const base = "../train/testdata/oldruns/base" // a small language model

// TestFromFolder: the text is Text's of the same model.
func TestFromFolder(t *testing.T) {
	t.Parallel()
	f, err := hub.Open(base, hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := generate.DefaultOptions()
	o.MaxTokens = 20
	got, err := generate.FromFolder(f, backend.Options{}, "the a", o)
	if err != nil {
		t.Fatal(err)
	}
	o.Grid, o.StopIDs = f.Grid, []int32{*f.GPTInfo.End}
	m, err := f.GPT(backend.Options{}, func(m *model.GPT) error { return generate.Rehearse(m, 8, o) })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids, err := f.Tokenizer.Encode([]byte("the a"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate.Text(m.GPT, f.Tokenizer, ids, o)
	if err != nil || got != want || !strings.HasPrefix(got, "the a") || len(got) == len("the a") {
		t.Errorf("%q, want %q, %v", got, want, err)
	}
	if _, err := generate.FromFolder(f, backend.Options{}, "", o); err == nil {
		t.Error("an empty prompt is no error")
	}
	f.Tokenizer = nil
	if _, err := generate.FromFolder(f, backend.Options{}, "the a", o); !errors.Is(err, tokenizer.ErrNotFound) {
		t.Errorf("without a tokenizer: error %v", err)
	}
}
