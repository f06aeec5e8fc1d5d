package pairs

import (
	"errors"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/backendtest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// TestFlippedSinusoids: a table of sinusoids, which is no parameter, is sealed as frozen weights are.
func TestFlippedSinusoids(t *testing.T) {
	t.Parallel()
	cfg := Default()
	cfg.Seq2Seq = model.Seq2SeqConfig{SourceVocab: 40, TargetVocab: 40, SourceContext: 24, TargetContext: 20, EncoderLayers: 1, DecoderLayers: 1,
		Heads: 2, Width: 8, MLP: 8, Shared: true, Sinusoidal: true}
	cfg.Loop.CheckEvery = 1
	task := New(cfg)
	train.Assume(task)
	build := func(be backend.Backend) (train.Learner, error) { return task.Random(be) }
	o := train.Options{Common: *task.Common()}
	o.Engine.Threads, o.Schedule.Steps = 1, 4
	u, err := train.PlanOf(build, o)
	if err != nil {
		t.Fatal(err)
	}
	be, err := backend.Open(o.Engine, u.Total)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	l, err := build(be)
	if err != nil {
		t.Fatal(err)
	}
	s, err := train.NewSession(be, l, o)
	if err == nil {
		err = s.Init()
	}
	if err == nil {
		_, err = s.Step(1)
	}
	if err != nil {
		t.Fatal(err)
	}
	tables := l.(train.Constant).Constants()
	backendtest.Flip(be, tables[1].Value, 1000)
	var found *bdia.CorruptionError
	if _, err := s.Step(2); len(tables) != 2 || !errors.As(err, &found) || found.Tensor != tables[1].Name {
		t.Errorf("%d tables: %v", len(tables), err)
	}
}
