package plot

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"

	"github.com/bdia-go/bdia/metric"
)

// curve is a series prepared for drawing.
type curve struct {
	label     string
	colour    color.NRGBA
	dashed    bool // an evaluation that shares the colour of another curve
	eval      bool
	raw, line []metric.Point
	band      []Interval
	best      metric.Point
}

// prepare gives each series its colour, its label and the points to draw.
func prepare(series []Series) []curve {
	var curves []curve
	runs := map[string]int{}
	colours := 0
	for _, s := range series {
		i, known := runs[s.Run]
		if s.Run == "" || !known {
			i = colours
			colours++
			runs[s.Run] = i
		}
		c := curve{label: s.Name, colour: figureColours[i%len(figureColours)], eval: s.Evaluation}
		if s.Run != "" {
			c.label = s.Run + ": " + s.Name
		}
		c.dashed = s.Evaluation && s.Run != "" || i >= len(figureColours)
		points := finite(s.Points)
		if len(points) == 0 {
			continue
		}
		c.band = s.Band
		if s.Evaluation {
			c.line, c.best = points, best(points, s.Higher)
			c.label += fmt.Sprintf(" (best %s at step %.0f)", digits(c.best.Y, s.Higher), c.best.X)
		} else {
			c.line = points
			if half := len(points) / 100; half > 0 {
				c.raw, c.line = thin(points), smooth(points, half)
			}
		}
		curves = append(curves, c)
	}
	return curves
}

// best returns the lowest point, or the highest.
func best(points []metric.Point, highest bool) metric.Point {
	at := points[0]
	for _, p := range points {
		if p.Y < at.Y && !highest || p.Y > at.Y && highest {
			at = p
		}
	}
	return at
}

// digits formats a value so that all of a legend have as many decimals: four of losses, two of percentages.
func digits(y float64, percent bool) string {
	switch {
	case percent:
		return fmt.Sprintf("%.2f", y)
	case math.Abs(y) >= 1e6:
		return fmt.Sprintf("%.4e", y)
	}
	return fmt.Sprintf("%.4f", y)
}

// outline is the border of a band, which ends at low and high.
func outline(band []Interval, low, high float64) plotter.XYs {
	var out plotter.XYs
	within := func(y float64) float64 { return min(max(y, low), high) }
	for _, b := range band {
		out = append(out, plotter.XY{X: b.X, Y: within(b.Low)})
	}
	for _, b := range slices.Backward(band) {
		out = append(out, plotter.XY{X: b.X, Y: within(b.High)})
	}
	return out
}

// ranges returns the ranges of the axes; xmin is +Inf if there is no point. If late, the Y axis is that of what comes
// after the first tenth.
func ranges(curves []curve, late bool) (xmin, xmax, ymin, ymax float64) {
	xmin, xmax, ymin, ymax = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, p := range c.line {
			xmin, xmax = min(xmin, p.X), max(xmax, p.X)
		}
	}
	from := xmin
	if late {
		from += (xmax - xmin) / 10
	}
	for _, c := range curves {
		line, raw := after(c.line, from), after(c.raw, from)
		if len(line) == 0 { // a run that ended early
			line = c.line[len(c.line)-1:]
		}
		for _, p := range line {
			ymin, ymax = min(ymin, p.Y), max(ymax, p.Y)
		}
		for _, b := range c.band {
			if b.X >= from {
				ymin, ymax = min(ymin, b.Low), max(ymax, b.High)
			}
		}
		if n := len(raw); n > 0 {
			y := make([]float64, n)
			for i, p := range raw {
				y[i] = p.Y
			}
			slices.Sort(y)
			ymin, ymax = min(ymin, y[n/50]), max(ymax, y[n-1-n/50])
		}
	}
	if xmin == xmax {
		xmin, xmax = xmin-1, xmax+1
	}
	pad := 0.05 * (ymax - ymin)
	if ymin == ymax {
		pad = max(0.1*math.Abs(ymin), 0.1)
	}
	return xmin, xmax, ymin - pad, ymax + pad
}

// after returns the points from x on.
func after(points []metric.Point, x float64) []metric.Point {
	i := slices.IndexFunc(points, func(p metric.Point) bool { return p.X >= x })
	if i < 0 {
		return nil
	}
	return points[i:]
}

func finite(points []metric.Point) []metric.Point {
	var out []metric.Point
	for _, p := range points {
		// Values near the largest float would overflow sums and the range of the axis.
		if math.Abs(p.X) < 1e100 && math.Abs(p.Y) < 1e100 {
			out = append(out, p)
		}
	}
	return out
}

// smooth returns, at about maxDrawn of the points, the mean over half points on either
// side. Near the start, where a loss is steep, both sides are shortened equally, so
// that the slope stays true; near the end only the later side is shorter.
func smooth(points []metric.Point, half int) []metric.Point {
	var out []metric.Point
	stride := max(1, len(points)/maxDrawn)
	last := len(points) - 1
	for i := 0; ; i = min(i+stride, last) {
		h := min(half, i)
		// Summed anew for each point: in running sums one huge value would
		// swallow the digits of all that follow.
		var sum float64
		part := points[i-h : min(i+h, last)+1]
		for _, p := range part {
			sum += p.Y
		}
		out = append(out, metric.Point{X: points[i].X, Y: sum / float64(len(part))})
		if i == last {
			return out
		}
	}
}

// thin keeps about maxDrawn points: the lowest and the highest of each stretch.
func thin(points []metric.Point) []metric.Point {
	if len(points) <= maxDrawn {
		return points
	}
	out := []metric.Point{points[0]}
	const stretches = maxDrawn / 2
	for s := range stretches {
		part := points[len(points)*s/stretches : len(points)*(s+1)/stretches]
		lo, hi := 0, 0
		for i, p := range part {
			if p.Y < part[lo].Y {
				lo = i
			}
			if p.Y > part[hi].Y {
				hi = i
			}
		}
		out = append(out, part[min(lo, hi)])
		if lo != hi {
			out = append(out, part[max(lo, hi)])
		}
	}
	return append(out, points[len(points)-1])
}

func xys(points []metric.Point) plotter.XYs {
	out := make(plotter.XYs, len(points))
	for i, p := range points {
		out[i] = plotter.XY(p)
	}
	return out
}
