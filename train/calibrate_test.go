package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
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

// TestCalibrate: the grid is the finest that holds four times what states reach, and
// training on it stays in its range.
func TestCalibrate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		x    float32
		from bdia.Grid
		want bdia.Grid
	}{
		{"initial weights", 0, 9, 9},
		{"initial weights, a finer grid", 0, 20, 20},
		{"a coarser grid is taken as it is", 0, 3, 3},
		{"outliers of thousands", 3500, 9, 9},
		{"outliers a bit above", 6000, 9, 8},
		{"outliers of tens of thousands", 70_000, 9, 5},
		{"from the finest grid", 3500, 20, 9},
		{"as large as can be", 2_000_000, 9, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			change := outliers(tc.x)
			if tc.x == 0 {
				change = nil
			}
			cfg := tinyCompletionConfig(t, gptFolder(t, change))
			cfg.Method.Grid, cfg.Model.EmbeddingDropout = tc.from, 0
			r := create(t, cfg)
			c, err := r.calibrate(context.Background(), silent{}.Preparing)
			if err != nil {
				t.Fatal(err)
			}
			if c.Grid != tc.want || c.Limit != tc.want.Limit() || headroom*c.MaxAbs > c.Limit {
				t.Errorf("calibration %+v, want a grid of %v", c, tc.want)
			}
			if finer := c.Grid + 1; finer <= tc.from && headroom*c.MaxAbs*1.01 < finer.Limit() {
				t.Errorf("states reach %v, which a grid of %v holds too", c.MaxAbs, finer)
			}
			if tc.x > 0 && (c.MaxAbs < float64(tc.x)*0.99 || c.MaxAbs > float64(tc.x)*1.6) { // a step of gamma -0.5 takes 1.5 times a state
				t.Errorf("states reach %v, with outliers of %v", c.MaxAbs, tc.x)
			}
			if !r.Config.Equal(cfg) && r.Config.Method != cfg.Method {
				t.Error("the configuration has changed")
			}
			cfg = r.Config
			cfg.Method.Grid = c.Grid
			if err := r.Reconfigure(cfg); err != nil {
				t.Fatal(err)
			}
			sum := trained(t, r, silent{})
			asPlannedSum(t, sum)
			if !(sum.MaxAbs < c.Limit) {
				t.Errorf("training reaches %v, beyond %v", sum.MaxAbs, c.Limit)
			}
		})
	}
}

func TestNoGridServes(t *testing.T) {
	t.Parallel()
	for _, x := range []float32{5_000_000, 1e12} {
		cfg := tinyCompletionConfig(t, gptFolder(t, outliers(x)))
		r := create(t, cfg)
		_, err := r.calibrate(context.Background(), silent{}.Preparing)
		oneLine(t, err, "--grid none", cfg.Tune.From, "beyond 4194304, 1/4 of")
		if !errors.Is(err, ErrNoGrid) {
			t.Errorf("outliers of %g: %v", x, err)
		}
		// What the error advises works.
		for _, m := range []bdia.Options{noGrid(bdia.Store, 0), noGrid(bdia.Recompute, 0)} {
			cfg.Method, cfg.Schedule.Steps = m, 2
			trained(t, create(t, cfg), silent{})
		}
	}
}

// TestDamagedNorm: where only the loss shows what is wrong, no learning rate has done it.
func TestDamagedNorm(t *testing.T) {
	t.Parallel()
	r := create(t, tinyCompletionConfig(t, gptFolder(t, func(be backend.Backend, m *model.GPT) {
		p := m.Params()[slices.IndexFunc(m.Params(), func(p *tensor.Param) bool { return p.Name == "lnf.bias" })]
		w := make([]float32, p.Value.Len())
		w[0] = float32(math.NaN())
		be.Upload(p.Value, w)
	})))
	_, err := r.calibrate(context.Background(), silent{}.Preparing)
	oneLine(t, err, "in an evaluation", "the weights are damaged")
	if !errors.Is(err, model.ErrDiverged) {
		t.Error(err)
	}
}

// TestCalibrationLosses: they are those of the model on the first batches.
func TestCalibrationLosses(t *testing.T) {
	t.Parallel()
	from := gptFolder(t, outliers(70_000))
	for _, task := range []Task{TaskCompletion, TaskText} {
		for _, change := range []func(*Config){
			func(*Config) {},
			func(c *Config) {
				c.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 2, Dropout: 0.2, Targets: model.Targets{"all"}}
			},
			func(c *Config) { c.Tune.Freeze, c.Tune.Window = 2, 20 },
		} {
			cfg := tinyCompletionConfig(t, from)
			if task == TaskText {
				cfg = tinyConfig()
				if err := cfg.StartFrom(from); err != nil {
					t.Fatal(err)
				}
			}
			change(&cfg)
			r := create(t, cfg)
			c, err := r.calibrate(context.Background(), silent{}.Preparing)
			if err != nil {
				t.Fatal(err)
			}
			m := gptOf(t, r.Config)
			var onGrid, inFloat float64
			losses := 0
			for step := 1; step <= calibrationSteps; step++ {
				b := model.NewBatch(cfg.Loop.SamplesAtOnce(), cfg.Window())
				if task == TaskText {
					err = r.Text.Batch(r.Config, step, b)
				} else {
					b, err = r.Pairs.CompletionBatch(r.Config, step)
				}
				if err = firstOf(err, testkit.AddTo(&onGrid)(m.Loss(b, c.Grid)), testkit.AddTo(&inFloat)(m.Loss(b, bdia.NoGrid))); err != nil {
					t.Fatal(err)
				}
				for _, id := range b.Targets {
					if id != backend.Ignore {
						losses++
					}
				}
			}
			if n := float64(losses); losses != c.Losses || c.GridLoss != onGrid/n || c.FloatLoss != inFloat/n {
				t.Errorf("%s: calibration %+v, %d losses %v and %v", task, c, losses, onGrid/n, inFloat/n)
			}
			if d := math.Abs(c.GridLoss - c.FloatLoss); d == 0 || d > 1 {
				t.Errorf("%s: a grid of %v changes the loss by %v", task, c.Grid, d)
			}
		}
	}
}

// TestCalibrationProgress: a calibration tells how far it is, and ends within a batch
// when it is told to.
func TestCalibrationProgress(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, gptFolder(t, outliers(20_000))) // which takes a coarser grid
	cfg.Pairs.BatchTokens = 2 * calibrationTokens
	r := create(t, cfg)
	var told []float64
	if _, err := r.calibrate(context.Background(), func(_ string, done, total int64) { told = append(told, float64(done)/float64(total)) }); err != nil {
		t.Fatal(err)
	}
	if n := len(told); n < 2*3*calibrationSteps || told[0] != 0 || !(told[n-1] > 0.9 && told[n-1] < 1) {
		t.Errorf("progress %v", told)
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	_, err := r.calibrate(ctx, func(string, int64, int64) {
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
	cfg := tinyCompletionConfig(t, gptFolder(t, outliers(70_000)))
	r := create(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if sum, err := r.Train(ctx, silent{}); err != nil || !sum.Interrupted || sum.Calibration != nil {
		t.Fatalf("%+v, %v", sum, err)
	}
	r = open(t, r.Dir)
	ctx, obs := cancelAt(3)
	sum, err := r.Train(ctx, obs)
	if err != nil || sum.Calibration == nil || sum.Calibration.Grid != 5 {
		t.Fatalf("%+v, %v", sum, err)
	}
	r = open(t, r.Dir)
	if sum := trained(t, r, silent{}); sum.Calibration != nil || r.Config.Method.Grid != 5 {
		t.Errorf("a run that has begun, on a grid of %v: %+v", r.Config.Method.Grid, sum)
	}
	whole := create(t, cfg)
	trained(t, whole, silent{})
	sameTuned(t, r, whole)
}

// TestGridOfOnesOwn: a grid that was asked for stays, or is refused.
func TestGridOfOnesOwn(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, gptFolder(t, outliers(70_000)))
	cfg.Tune.AutoGrid = false
	r := create(t, cfg)
	_, err := r.Train(context.Background(), silent{})
	oneLine(t, err, "9 bits", "--grid 5")
	if !errors.Is(err, ErrGrid) || open(t, r.Dir).Config.Method.Grid != 9 {
		t.Error(err)
	}
	cfg.Method.Grid = 4
	d := &diary{}
	if sum := trained(t, create(t, cfg), d); sum.Calibration.Grid != 4 || !strings.HasPrefix(d.lines[0], "note: Activations reach") {
		t.Errorf("%+v\n%s", sum.Calibration, d.lines)
	}
	cfg.Method = noGrid(bdia.Store, 0)
	if sum := trained(t, create(t, cfg), silent{}); sum.Calibration != nil {
		t.Errorf("a calibration without a grid: %+v", sum.Calibration)
	}
}
