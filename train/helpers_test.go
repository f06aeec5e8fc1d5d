package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// tinyConfig is a run of a few hundred tokens a step, with every source of
// randomness in use. Widths are no multiples of vector lengths.
func tinyConfig() Config {
	c := DefaultConfig()
	c.Model = model.GPTConfig{Vocab: 13, Context: 8, Layers: 4, Heads: 2, Width: 24,
		EmbeddingDropout: 0.1, AttentionDropout: 0.1, ResidualDropout: 0.1}
	c.Schedule = optim.Schedule{Kind: "cosine", LR: 1e-2, Final: 0.1, Warmup: 2, Steps: 8}
	c.Loop = LoopConfig{Batch: 6, Update: WhenAuto, Seed: 7, EvalEvery: 3, EvalSamples: 4, SampleTokens: 5, LogEvery: 1}
	c.Engine.Threads = 1
	return c
}

// text returns n bytes that a model can learn: words of a fixed order, with one
// in four replaced by a pseudo-random other.
func text(n int) string {
	words := strings.Fields("one two three four five six seven")
	var b strings.Builder
	for i, r := 0, uint32(1); b.Len() < n; i++ {
		r = r*1664525 + 1013904223
		w := words[i%len(words)]
		if r>>30 == 0 {
			w = words[r>>8%7]
		}
		b.WriteString(w + " ")
	}
	return b.String()[:n]
}

// textFile writes s to a file of its own.
func textFile(t testing.TB, s string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(s), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// create makes a run of cfg on 4,000 characters of text, or 60 images.
func create(t testing.TB, cfg Config) *Run {
	t.Helper()
	if cfg.Task == TaskText && cfg.Data.Path == "" {
		cfg.Data.Path = textFile(t, text(4000))
	}
	if cfg.Task == TaskImage && cfg.Images.Path == "" {
		cfg.Images.Path = imageFolder(t, 20)
	}
	r, err := Create(context.Background(), filepath.Join(t.TempDir(), "run"), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// open opens the run in dir.
func open(t testing.TB, dir string) *Run {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// trained runs r to its end.
func trained(t testing.TB, r *Run, obs Observer) Summary {
	t.Helper()
	sum, err := r.Train(context.Background(), obs)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// silent is an Observer that can be told to listen to a few things.
type silent struct {
	step      func(step int, r StepResult)
	evaluated func(step int, val float64, best bool)
}

func (silent) Preparing(string, int64, int64) {}
func (silent) Note(string)                    {}
func (silent) Start(int, int, backend.Usage)  {}
func (s silent) Step(step int, r StepResult, _ float64) {
	if s.step != nil {
		s.step(step, r)
	}
}
func (s silent) Evaluated(step int, val, _ Score, best bool) {
	if s.evaluated != nil {
		s.evaluated(step, val.Loss, best)
	}
}
func (silent) Saved(int, string)   {}
func (silent) Sampled(int, string) {}

// cancelAt returns a context that ends after the given step, and the Observer
// that ends it.
func cancelAt(at int) (context.Context, Observer) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, silent{step: func(step int, _ StepResult) {
		if step == at {
			cancel()
		}
	}}
}

// interrupted trains r until a step is done and opens it again, as another process
// does. If the step is one to evaluate, that has to be left to do.
func interrupted(t *testing.T, r *Run, at int) *Run {
	t.Helper()
	ctx, obs := cancelAt(at)
	sum, err := r.Train(ctx, obs)
	if err != nil || !sum.Interrupted || sum.Steps != at {
		t.Fatalf("interrupted at step %d: %+v, %v", at, sum, err)
	}
	r = open(t, r.Dir)
	if due := every(at, r.Config.Loop.EvalEvery); r.State.Step != at || r.State.EvalDue != due {
		t.Fatalf("interrupted at step %d: %+v; evaluation due: %v", at, r.State, due)
	}
	return r
}

// ids are tokens in memory.
type ids []int32

func (t ids) Len() int64 { return int64(len(t)) }

func (t ids) Read(dst []int32, offset int64) error {
	copy(dst, t[offset:])
	return nil
}

// someIDs returns n tokens below vocab.
func someIDs(n, vocab int) ids {
	t := make(ids, n)
	for i, r := 0, uint32(5); i < n; i++ {
		r = r*1664525 + 1013904223
		t[i] = int32(r>>8) % int32(vocab)
	}
	return t
}

func sampler(t testing.TB, cfg Config) *data.Sampler {
	t.Helper()
	s, err := data.NewSampler(someIDs(500, cfg.Model.Vocab), cfg.Model.Context, cfg.Loop.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testSamples are what a session of cfg learns from in tests.
func testSamples(t testing.TB, cfg Config) Samples {
	if cfg.Task == TaskText {
		return tokens{sampler(t, cfg)}
	}
	cfg.Images.Path = imageFolder(t, 20)
	m := &Images{cfg: cfg}
	t.Cleanup(func() { m.Close() })
	if err := m.Open(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return m
}

// newSession makes a session of the model of cfg, to learn from samples.
func newSession(be backend.Backend, cfg Config, samples Samples) (*Session, error) {
	l, err := samples.Learner(be, cfg)
	if err != nil {
		return nil, err
	}
	return NewSession(be, l, Options{Common: cfg.Common})
}

// session returns a planned session of cfg with initial weights.
func session(t testing.TB, cfg Config) (*Session, backend.Usage) {
	t.Helper()
	planned, err := Plan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	be, err := backend.Open(cfg.Engine, planned.Total)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	s, err := newSession(be, cfg, testSamples(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	return s, planned
}

// hash is a fingerprint of every weight, of their average where there is one, and
// of the optimiser's whole state.
func (s *Session) hash() string {
	h := sha256.New()
	weights := func() error {
		for _, p := range s.Params() {
			host := make([]float32, p.Value.Len())
			s.be.Download(host, p.Value)
			fmt.Fprintln(h, p.Name)
			binary.Write(h, binary.LittleEndian, host)
		}
		return nil
	}
	weights()
	if s.average != nil {
		s.inUse(weights)
	}
	for _, m := range s.Optimizer.Moments() {
		if m.Value.DType == tensor.U8 {
			codes := make([]byte, m.Value.Len())
			s.be.DownloadBytes(codes, m.Value)
			fmt.Fprintln(h, m.Name)
			h.Write(codes)
			continue
		}
		host := make([]float32, m.Value.Len())
		s.be.Download(host, m.Value)
		fmt.Fprintln(h, m.Name)
		binary.Write(h, binary.LittleEndian, host)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// oneLine fails unless err is one line that holds every part.
func oneLine(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
		t.Errorf("error is not one line: %q", err)
	}
	if testing.Verbose() {
		t.Log(err)
	}
}

func noGrid(m bdia.Memory, g bdia.Gamma) bdia.Options {
	return bdia.Options{Memory: m, Gamma: g, Grid: bdia.NoGrid}
}
