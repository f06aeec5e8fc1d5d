package train_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// TestMendedTokenizerIsUsed: a tokenizer whose file is damaged and can still be read is mended when the run goes on, and
// then the run uses the mended one.
func TestMendedTokenizerIsUsed(t *testing.T) {
	t.Parallel()
	made := tinyRuns[3].task(t)
	r := traintest.Create(t, made())
	traintest.Trained(t, r, nil)
	path := filepath.Join(r.Dir, "tokenizer.json")
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(sound, &file); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(file["model"].(map[string]any)["merges"].([]any)) // the same tokens, joined in another order
	damaged, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	ids := func(r *train.Run) []int32 {
		ids, err := r.Task.(*tune.Task).Source.Encode([]byte("vee"))
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	want := ids(r)
	for _, mend := range []func(r *train.Run) error{
		func(r *train.Run) error { _, err := r.Train(t.Context(), nil); return err },
		func(r *train.Run) error { _, err := r.Mend(); return err },
	} {
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		r := traintest.Open(t, r.Dir)
		if slices.Equal(ids(r), want) {
			t.Fatal("the damage changes nothing")
		}
		if err := mend(r); err != nil || !slices.Equal(ids(r), want) {
			t.Errorf("%v; the tokenizer is the damaged one: %v", err, !slices.Equal(ids(r), want))
		}
	}
}

// TestSettingsChangedMeanwhile: a run does not go on with settings that another process has changed since it was
// opened. Opened again it does.
func TestSettingsChangedMeanwhile(t *testing.T) {
	t.Parallel()
	made := tinyRuns[0].task(t)
	dir := traintest.Create(t, made()).Dir
	a, b := traintest.Open(t, dir), traintest.Open(t, dir)
	longer := text.New(*b.Task.Config().(*text.Config))
	longer.Settings.Schedule.LR *= 2
	if err := b.Reconfigure(longer); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Train(t.Context(), nil); !errors.Is(err, checkpoint.ErrOther) || !strings.Contains(err.Error(), "bdia.yaml is not what it was") {
		t.Errorf("%v", err)
	}
	for _, r := range []*train.Run{b, traintest.Open(t, dir)} {
		if _, err := r.Train(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
}
