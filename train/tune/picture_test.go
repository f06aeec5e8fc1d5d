package tune

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// TestPicture: a picture shows what is learned, token for token, and a run that goes on knows it from its sets.
func TestPicture(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, nil))
	r := create(t, cfg)
	p, err := task(r).Picture(3)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Samples) != 3 || len(p.Parts) != 2 || p.Counts[len(p.Counts)-1].What != "pairs" || len(p.Lengths) != 3 {
		t.Fatalf("%+v", p)
	}
	// The losses of an epoch are what the part says.
	be, err := backend.NewPlan(cfg.Engine)
	if err != nil {
		t.Fatal(err)
	}
	l, err := task(r).Learner(be)
	if err != nil {
		t.Fatal(err)
	}
	b, err := task(r).Batches(cfg.Pairs, cfg.Loop)
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for step := range b.Steps(1) {
		_, losses, err := l.Size(step + 1)
		if err != nil {
			t.Fatal(err)
		}
		sum += int64(losses)
	}
	if sum != p.Parts[0].Losses {
		t.Errorf("an epoch has %d losses, the picture %d", sum, p.Parts[0].Losses)
	}
	again, err := task(traintest.Open(t, r.Dir)).Picture(3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{p.Parts, p.Lengths}, []any{again.Parts, again.Lengths}); diff != "" {
		t.Error(diff)
	}
	for i, s := range again.Samples {
		if diff := cmp.Diff(p.Samples[i].Pieces, s.Pieces); diff != "" || s.Place != "" {
			t.Errorf("sample %d from %q: %s", i, s.Place, diff)
		}
	}
	var _ train.Pictured = task(r)
}
