package plot

import (
	"encoding/xml"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/metric"
	"github.com/google/go-cmp/cmp"
)

// testRun has a falling training loss with a spike and a validation loss that
// turns at step 600.
func testRun(run string) []Series {
	train := Series{Run: run, Name: "training loss"}
	val := Series{Run: run, Name: "validation loss", Evaluation: true}
	for i := range 1000 {
		x := float64(i)
		train.Points = append(train.Points, metric.Point{X: x, Y: 2 + 5*math.Exp(-x/100) + 0.2*math.Sin(x*x)})
		if i%100 == 0 {
			val.Points = append(val.Points, metric.Point{X: x, Y: 2.5 + math.Abs(x-600)/200})
		}
	}
	return []Series{train, val}
}

// points are made of pairs of X and Y.
func points(xy ...float64) (list []metric.Point) {
	for i := 0; i < len(xy); i += 2 {
		list = append(list, metric.Point{X: xy[i], Y: xy[i+1]})
	}
	return list
}

// pixels counts the pixels of a PNG close to c, over the whole image of one panel or more.
func pixels(t *testing.T, path string, c color.NRGBA) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if s := img.Bounds().Size(); s.X != 1200 || (s.Y-750)%525 != 0 {
		t.Fatalf("image of %v", s)
	}
	near := func(a uint32, b uint8) bool { return math.Abs(float64(a>>8)-float64(b)) < 12 }
	n := 0
	for y := range img.Bounds().Dy() {
		for x := range 1200 {
			r, g, b, a := img.At(x, y).RGBA()
			if a>>8 != 255 {
				t.Fatalf("pixel %d,%d is transparent", x, y)
			}
			if near(r, c.R) && near(g, c.G) && near(b, c.B) {
				n++
			}
		}
	}
	return n
}

func TestLossCurvePNG(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "loss.png")
	if err := LossCurve("A run", testRun(""), path); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"training", "validation"} {
		if n := pixels(t, path, figureColours[i]); n < 2000 {
			t.Errorf("%s curve has %d pixels", name, n)
		}
	}
	if n := pixels(t, path, figureColours[2]); n > 0 {
		t.Errorf("%d pixels of a third curve", n)
	}
	if n := pixels(t, path, color.NRGBA{255, 255, 255, 255}); n < 1200*750*3/4 {
		t.Errorf("only %d pixels are background", n)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("files left: %v, error %v", entries, err)
	}
}

// texts returns the text elements of an SVG, which must be well-formed.
func texts(t *testing.T, path string) []string {
	t.Helper()
	var out []string
	dec := xml.NewDecoder(strings.NewReader(readFile(t, path)))
	inText := false
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			inText = e.Name.Local == "text"
		case xml.CharData:
			if inText {
				out = append(out, string(e))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

func TestLossCurveSVG(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "LOSS.SVG")
	series := slices.Concat(testRun("bdia"), testRun("<&>"))
	if err := LossCurve("Two runs", series, path); err != nil {
		t.Fatal(err)
	}
	got := texts(t, path)
	for _, want := range []string{"Two runs", "step", "loss (nats)", "0", "200", "800", "bdia: training loss",
		"bdia: validation loss (best 2.5000 at step 600)", "<&>: training loss", "<&>: validation loss (best 2.5000 at step 600)"} {
		if !slices.Contains(got, want) {
			t.Errorf("no text %q in %q", want, got)
		}
	}
	if s := readFile(t, path); !strings.Contains(s, "Arial,Helvetica,sans-serif") {
		t.Error("no substitute for the font is named")
	}
}

func TestRunsShareAColour(t *testing.T) {
	t.Parallel()
	got := prepare(slices.Concat(testRun("a"), testRun("b"), []Series{{Name: "x", Points: points(1, 2)}, {Name: "empty"}, {Name: "y", Points: points(1, 2)}}))
	var colours []int
	for _, c := range got {
		colours = append(colours, slices.Index(figureColours, c.colour))
	}
	if want := []int{0, 0, 1, 1, 2, 4}; !slices.Equal(colours, want) {
		t.Errorf("colours %v, want %v", colours, want)
	}
}

// Whatever a run leaves behind can be drawn.
func TestLossCurveOfOddSeries(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	many := make([]Series, 9)
	for i := range many {
		many[i] = Series{Name: "series of a rather long name, longer than half of the width of the figure", Points: points(0, 1, 1, float64(i))}
	}
	for name, series := range map[string][]Series{
		"none":           nil,
		"empty":          {{Name: "a"}, {Name: "b", Evaluation: true}},
		"one point":      {{Name: "a", Points: points(5, 2)}},
		"one measure":    {{Name: "a", Evaluation: true, Points: points(5, 0)}},
		"nothing finite": {{Name: "a", Points: points(1, nan, 2, nan)}, {Name: "b", Evaluation: true, Points: points(1, nan)}},
		"some not":       {{Name: "a", Points: points(1, inf, 2, 3, 3, nan, 4, 2, 5, -inf, nan, 1)}},
		"constant":       {{Name: "a", Points: points(1, 3, 2, 3)}},
		"huge":           {{Name: "a", Points: points(1, 1e308, 2, -1e308, 3, 1e99, 4, -1e99)}},
		"tiny":           {{Name: "a", Points: points(1, 1e-300, 2, 2e-300)}},
		"close":          {{Name: "a", Points: points(1, 1, 2, 1+1e-15)}},
		"same step":      {{Name: "a", Points: points(1, 1, 1, 2)}},
		"large step":     {{Name: "a", Points: points(1e12, 1, 1e12+1, 2)}},
		"many and long":  many,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := LossCurve(name, series, filepath.Join(dir, "a.png")); err != nil {
				t.Fatal(err)
			}
			if n := pixels(t, filepath.Join(dir, "a.png"), ink); n < 500 {
				t.Errorf("title and axes have %d pixels", n)
			}
			if err := LossCurve(name, series, filepath.Join(dir, "a.svg")); err != nil {
				t.Fatal(err)
			}
			for _, s := range texts(t, filepath.Join(dir, "a.svg")) {
				if strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
					t.Errorf("the figure says %q", s)
				}
			}
		})
	}
}

func TestLossCurveRejects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"loss.pdf", "loss", filepath.Join("absent", "loss.png")} {
		if err := LossCurve("", nil, filepath.Join(dir, name)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one error", name, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("files left: %v, error %v", entries, err)
	}
}

func TestSmooth(t *testing.T) {
	t.Parallel()
	var line, spiked []metric.Point
	for i := range 500 {
		line = append(line, metric.Point{X: float64(i), Y: float64(500 - i)})
		spiked = append(spiked, metric.Point{X: float64(i), Y: 1})
	}
	for i, p := range smooth(line, 5)[:495] {
		if p != line[i] {
			t.Fatalf("point %d of a straight line became %v", i, p)
		}
	}
	spiked[100].Y = 1e30
	for i, p := range smooth(spiked, 5) {
		if far := i < 95 || i > 105; far && p.Y != 1 {
			t.Fatalf("a spike at 100 changed point %d to %v", i, p.Y)
		}
	}
	long := make([]metric.Point, 100_001)
	if n := len(smooth(long, 1000)); n < maxDrawn || n > maxDrawn+50 {
		t.Errorf("%d points smoothed to %d", len(long), n)
	}
}

func TestThinKeepsExtremes(t *testing.T) {
	t.Parallel()
	points := make([]metric.Point, 123_457)
	for i := range points {
		points[i].X = float64(i)
	}
	points[777].Y, points[100_000].Y = 9, -9
	got := thin(points)
	if len(got) > maxDrawn+2 || !slices.Contains(got, points[777]) || !slices.Contains(got, points[100_000]) {
		t.Errorf("%d points, extremes kept: %v %v", len(got), slices.Contains(got, points[777]), slices.Contains(got, points[100_000]))
	}
	if !slices.IsSortedFunc(got, func(a, b metric.Point) int { return int(a.X - b.X) }) {
		t.Error("points are out of order")
	}
}

func TestNiceTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lo, hi float64
		ticks  niceTicks
		want   string
	}{
		{0, 3000, niceTicks{count: 8, smallest: 1}, "0 500 1000 1500 2000 2500 3000"},
		{0, 3, niceTicks{count: 8, smallest: 1}, "0 1 2 3"},
		{1.23, 1.31, niceTicks{count: 7}, "1.24 1.26 1.28 1.30"},
		{-0.1, 0.32, niceTicks{count: 7}, "-0.1 0.0 0.1 0.2 0.3"},
		{0, 6e7, niceTicks{count: 7}, "0 1e+07 2e+07 3e+07 4e+07 5e+07 6e+07"},
	} {
		var got []string
		for _, tick := range c.ticks.Ticks(c.lo, c.hi) {
			got = append(got, tick.Label)
		}
		if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" {
			t.Errorf("%v..%v: %s", c.lo, c.hi, d)
		}
	}
}

// TestLateAxis: the losses of the beginning are cut off, so that two runs that begin alike can be told apart.
func TestLateAxis(t *testing.T) {
	t.Parallel()
	curves := prepare([]Series{{Name: "a", Evaluation: true, Points: points(0, 10, 50, 2, 100, 1.9)}, {Name: "b", Evaluation: true, Points: points(0, 10, 50, 2.1, 100, 2)}})
	if _, _, low, high := ranges(curves, false); low > 1.9 || high < 10 {
		t.Errorf("the whole axis is %v to %v", low, high)
	}
	if first, last, low, high := ranges(curves, true); first != 0 || last != 100 || low > 1.9 || high > 2.2 {
		t.Errorf("the late axis is %v to %v of steps %v to %v", low, high, first, last)
	}
	early := prepare([]Series{{Name: "a", Points: points(0, 3, 1, 2)}, {Name: "b", Points: points(0, 3, 100, 1)}})
	if _, _, _, high := ranges(early, true); high < 2 {
		t.Errorf("a run that ended early is above the axis, which ends at %v", high)
	}
}

// TestPanels: an accuracy below the losses has its highest value marked; a band is drawn, and series without points
// are not in the legend.
func TestPanels(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "two.svg")
	losses := []Series{{Name: "loss", Points: points(0, 3, 1, 2), Band: []Interval{{0, 2.5, 3.5}, {1, 1.9, 99}}}, {Name: "nothing"}}
	accuracy := []Series{{Name: "accuracy", Evaluation: true, Higher: true, Points: points(0, 10, 1, 72.345, 2, 70)}}
	if err := Panels("Both", []Panel{{Axes{X: "step", Y: "loss"}, losses}, {Axes{X: "step", Y: "percent"}, accuracy}}, path); err != nil {
		t.Fatal(err)
	}
	got := texts(t, path)
	for _, want := range []string{"Both", "loss", "percent", "accuracy (best 72.34 at step 1)"} {
		if !slices.Contains(got, want) {
			t.Errorf("no text %q in %q", want, got)
		}
	}
	if slices.Contains(got, "nothing") {
		t.Error("the legend has a curve without points")
	}
}
