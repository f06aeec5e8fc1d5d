package tune

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// outliers gives the model's states elements of about x: at one place of every
// position.
func outliers(x float32) func(backend.Backend, *model.GPT) {
	return func(be backend.Backend, m *model.GPT) {
		for _, p := range m.Params() {
			if p.Name != "wpe.weight" {
				continue
			}
			w := make([]float32, p.Value.Len())
			be.Download(w, p.Value)
			for i := 5; i < len(w); i += m.Config.Width {
				w[i] = x * float32(1+i%3) / 3
			}
			be.Upload(p.Value, w)
			return
		}
		panic("no positions of this name")
	}
}

// TestCalibrate: the grid is the finest that holds as many times what states reach as gamma says, whatever grid is tried
// first, and training on it stays in its range. A grid of one's own is taken as it is.
func TestCalibrate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		x     float32
		from  bdia.Grid
		own   bool
		gamma bdia.Gamma
		want  bdia.Grid
	}{
		{"initial weights", 0, 9, false, 0.5, finest},
		{"initial weights, tried from the finest", 0, 26, false, 0.5, finest},
		{"initial weights, tried from a coarse one", 0, 3, false, 0.5, finest},
		{"a coarser grid of one's own", 0, 3, true, 0.5, 3},
		{"a finer grid of one's own", 0, 24, true, 0.5, 24},
		{"outliers of hundreds", 220, 9, false, 0.5, 20},
		{"outliers a bit above", 300, 9, false, 0.5, 19},
		{"outliers a bit above, but a small gamma", 450, 9, false, 0.125, 20},
		{"outliers of thousands", 3000, 9, false, 0.5, 16},
		{"of thousands, with a smaller gamma", 3000, 9, false, 0.25, 17},
		{"of thousands, tried from a fine grid", 3000, 20, false, 0.5, 16},
		{"outliers of a million", 1_000_000, 9, false, 0.5, 7},
		{"outliers that the first grid does not hold", 4_000_000, 9, false, 0.5, 5},
		{"as large as can be", 200_000_000, 9, false, 0.5, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			change := outliers(tc.x)
			if tc.x == 0 {
				change = nil
			}
			cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, change))
			cfg.Method.Grid, cfg.Method.Gamma, cfg.Tune.AutoGrid, cfg.Model.EmbeddingDropout = tc.from, tc.gamma, !tc.own, 0
			r := create(t, cfg)
			c, err := calibrated(context.Background(), r, traintest.Listener{}.Preparing)
			if err != nil {
				t.Fatal(err)
			}
			if c.Grid != tc.want || c.Limit != tc.want.Limit() || room(cfg.Method)*c.MaxAbs > c.Limit {
				t.Errorf("calibration %+v, want a grid of %v", c, tc.want)
			}
			if finer := c.Grid + 1; finer <= finest && !tc.own && room(cfg.Method)*c.MaxAbs*1.01 < finer.Limit() {
				t.Errorf("states reach %v, which a grid of %v holds too", c.MaxAbs, finer)
			}
			if tc.x > 0 && (c.MaxAbs < float64(tc.x)*0.99 || c.MaxAbs > float64(tc.x)*1.6) { // a step of gamma -0.5 takes 1.5 times a state
				t.Errorf("states reach %v, with outliers of %v", c.MaxAbs, tc.x)
			}
			if settings(r).Method != cfg.Method {
				t.Error("the configuration has changed")
			}
			cfg = *settings(r)
			cfg.Method.Grid = c.Grid
			if err := r.Reconfigure(New(cfg)); err != nil {
				t.Fatal(err)
			}
			sum := traintest.Trained(t, r, traintest.Listener{})
			traintest.AsPlanned(t, sum)
			if !(sum.MaxAbs < c.Limit) {
				t.Errorf("training reaches %v, beyond %v", sum.MaxAbs, c.Limit)
			}
		})
	}
}

func TestNoGridServes(t *testing.T) {
	t.Parallel()
	for _, x := range []float32{5e8, 1e12} {
		cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, outliers(x)))
		r := create(t, cfg)
		_, err := calibrated(context.Background(), r, traintest.Listener{}.Preparing)
		traintest.OneLine(t, err, "without one", cfg.Tune.From, "beyond 357913941, and with room for 3 times")
		if !errors.Is(err, ErrNoGrid) {
			t.Errorf("outliers of %g: %v", x, err)
		}
		// What the error advises works.
		for _, m := range []bdia.Options{traintest.NoGrid(bdia.Store, 0), traintest.NoGrid(bdia.Recompute, 0)} {
			cfg.Method, cfg.Schedule.Steps = m, 2
			traintest.Trained(t, create(t, cfg), traintest.Listener{})
		}
	}
}

// TestDamagedNorm: where only the loss shows what is wrong, no learning rate has done it.
func TestDamagedNorm(t *testing.T) {
	t.Parallel()
	r := create(t, tinyCompletionConfig(t, traintest.GPTFolder(t, func(be backend.Backend, m *model.GPT) {
		p := m.Params()[slices.IndexFunc(m.Params(), func(p *tensor.Param) bool { return p.Name == "lnf.bias" })]
		w := make([]float32, p.Value.Len())
		w[0] = float32(math.NaN())
		be.Upload(p.Value, w)
	})))
	_, err := calibrated(context.Background(), r, traintest.Listener{}.Preparing)
	traintest.OneLine(t, err, "in an evaluation", "the weights are damaged")
	if !errors.Is(err, model.ErrDiverged) {
		t.Error(err)
	}
}

// TestCalibrationLosses: they are those of the model on the first batches.
func TestCalibrationLosses(t *testing.T) {
	t.Parallel()
	from := traintest.GPTFolder(t, outliers(70_000))
	{
		for _, change := range []func(*Config){
			func(*Config) {},
			func(c *Config) {
				c.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 2, Dropout: 0.2, Targets: model.Targets{"all"}}
			},
			func(c *Config) { c.Tune.Freeze, c.Tune.Window = 2, 20 },
			func(c *Config) { c.Method.Ramp = bdia.Ramp{From: 0.125, Steps: 3} },
		} {
			cfg := tinyCompletionConfig(t, from)
			change(&cfg)
			r := create(t, cfg)
			c, err := calibrated(context.Background(), r, traintest.Listener{}.Preparing)
			if err != nil {
				t.Fatal(err)
			}
			m := gptOf(t, *settings(r))
			method := settings(r).Method
			method.Grid = c.Grid
			training, err := m.WithOptions(method)
			if err != nil {
				t.Fatal(err)
			}
			var onGrid, inFloat, inTraining float64
			losses := 0
			for step := 1; step <= calibrationSteps; step++ {
				b, err := task(r).StepBatch(step)
				if err = cmp.Or(err, testkit.AddTo(&onGrid)(m.Loss(b, c.Grid)), testkit.AddTo(&inFloat)(m.Loss(b, bdia.NoGrid)),
					testkit.AddTo(&inTraining)(training.TrainLoss(b, backend.Pass{Train: true, Seed: cfg.Loop.Seed, Step: step}))); err != nil {
					t.Fatal(err)
				}
				for _, id := range b.Targets {
					if id != backend.Ignore {
						losses++
					}
				}
			}
			if n := float64(losses); losses != c.Losses || c.GridLoss != onGrid/n || c.FloatLoss != inFloat/n || c.TrainLoss != inTraining/n {
				t.Errorf("calibration %+v, %d losses %v, %v and %v", c, losses, onGrid/n, inFloat/n, inTraining/n)
			}
			if d := math.Abs(c.GridLoss - c.FloatLoss); d == 0 || d > 1 {
				t.Errorf("a grid of %v changes the loss by %v", c.Grid, d)
			}
		}
	}
}

// TestCalibrationProgress: a calibration tells how far it is, and ends within a batch
// when it is told to.
func TestCalibrationProgress(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, outliers(20_000))) // which takes a coarser grid
	cfg.Pairs.BatchTokens = 2 * calibrationTokens
	r := create(t, cfg)
	var told []float64
	if _, err := calibrated(context.Background(), r, func(_ string, done, total int64) { told = append(told, float64(done)/float64(total)) }); err != nil {
		t.Fatal(err)
	}
	if n := len(told); n < 2*3*calibrationSteps || told[0] != 0 || !(told[n-1] > 0.9 && told[n-1] < 1) {
		t.Errorf("progress %v", told)
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	_, err := calibrated(ctx, r, func(string, int64, int64) {
		if calls++; calls == 3 { // after that of the beginning and the first part
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || calls != 3 {
		t.Errorf("told to end in its first batch, it ends after %d parts: %v", calls, err)
	}
}

// TestStopsBeforeCalibration: whatever ends a run before its first step, the process
// that begins it gives it its grid.
func TestStopsBeforeCalibration(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, outliers(70_000)))
	r := create(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if sum, err := r.Train(ctx, traintest.Listener{}); err != nil || !sum.Interrupted || sum.Calibration != nil {
		t.Fatalf("%+v, %v", sum, err)
	}
	r = traintest.Open(t, r.Dir)
	ctx, obs := traintest.CancelAt(3)
	sum, err := r.Train(ctx, obs)
	if err != nil || sum.Calibration == nil || sum.Calibration.Grid != 11 {
		t.Fatalf("%+v, %v", sum, err)
	}
	r = traintest.Open(t, r.Dir)
	if sum := traintest.Trained(t, r, traintest.Listener{}); sum.Calibration != nil || settings(r).Method.Grid != 11 {
		t.Errorf("a run that has begun, on a grid of %v: %+v", settings(r).Method.Grid, sum)
	}
	whole := create(t, cfg)
	traintest.Trained(t, whole, traintest.Listener{})
	sameTuned(t, r, whole)
}

// TestGridOfOnesOwn: a grid that was asked for stays, or is refused.
func TestGridOfOnesOwn(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.GPTFolder(t, outliers(3_000_000)))
	cfg.Tune.AutoGrid = false
	r := create(t, cfg)
	_, err := r.Train(context.Background(), traintest.Listener{})
	traintest.OneLine(t, err, "9 bits", "exact below 2097152 only", "with room to grow", "a grid of 6 bits")
	if !errors.Is(err, ErrGrid) || settings(traintest.Open(t, r.Dir)).Method.Grid != 9 {
		t.Error(err)
	}
	cfg.Method.Grid = 4
	d := &traintest.Diary{}
	if sum := traintest.Trained(t, create(t, cfg), d); sum.Calibration.Grid != 4 || !strings.HasPrefix(d.Lines[0], "note: Activations reach") {
		t.Errorf("%+v\n%s", sum.Calibration, d.Lines)
	}
	cfg.Method = traintest.NoGrid(bdia.Store, 0)
	if sum := traintest.Trained(t, create(t, cfg), traintest.Listener{}); sum.Calibration != nil {
		t.Errorf("a calibration without a grid: %+v", sum.Calibration)
	}
}

// TestNotes: a user hears what gamma does to the loss, and that it spoils a model.
func TestNotes(t *testing.T) {
	t.Parallel()
	ramp := bdia.Options{Gamma: 0.5, Ramp: bdia.Ramp{From: 0.125, Steps: 30}}
	for _, tc := range []struct {
		loss   float64 // in training
		method bdia.Options
		want   string // none: there is no such note
	}{
		{2.04, bdia.Options{Gamma: 0.25}, "with gamma ±0.25: 2.0400 (+0.04)"},
		{2.06, ramp, "with gamma ±0.125..0.5@30: 2.0600 (+0.06)"},
		{2.5, ramp, "with gamma ±0.125..0.5@30: 2.5000 (+0.5); a smaller gamma spoils the model less"},
		{1.9, ramp, "with gamma ±0.125..0.5@30: 1.9000 (-0.1)"},
		{2, bdia.Options{}, ""},
	} {
		all := notes(&train.Calibration{Grid: 9, FloatLoss: 2, GridLoss: 2, TrainLoss: tc.loss, Losses: 7}, tc.method)
		if got := all[len(all)-1]; tc.want != "" && !strings.HasSuffix(got, tc.want) || len(all) > 2 != (tc.want != "") {
			t.Errorf("%v: %q, want %q", tc.loss, all, tc.want)
		}
	}
}
