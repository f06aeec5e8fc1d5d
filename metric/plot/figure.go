// Package plot draws what a run has measured: curves over the training step, as PNG or SVG. For example,
//
//	plot.Run("runs/shakespeare")
//
// draws the loss curves of a run directory from its records. It stands apart from package metric because of its fonts
// and drawing modules, which few programs need.
package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/metric"
)

// Series is one curve of a figure.
type Series struct {
	// Name is the text in the legend.
	Name string
	// Run groups the curves of one run in a figure with several runs: they share a
	// colour, and the legend names the run first. Empty: the curve has its own colour.
	Run string
	// Evaluation marks a value measured now and then, such as the validation
	// loss: every point has a marker and the lowest a ring. Otherwise a series
	// of 100 points or more is drawn smoothed over its faint raw values.
	Evaluation bool
	// Higher marks a value of which the highest is the best, such as an accuracy in percent.
	Higher bool
	// Points lie in order of X. Points that are not finite are left out, and so is a series without others.
	Points []metric.Point
	// Band is drawn behind the curve, for example the mean less and plus the standard deviation of several runs.
	Band []Interval
}

// Interval is a range of Y at X.
type Interval struct{ X, Low, High float64 }

const (
	figureWidth  = 8 * vg.Inch
	figureHeight = 5 * vg.Inch
	panelHeight  = 3.5 * vg.Inch // of every panel after the first
	figureDPI    = 150
	maxDrawn     = 2000 // points of a curve that are drawn
)

// figureColours can be told apart by colour-blind readers too (Okabe and Ito, "Color
// Universal Design", 2008; without yellow, which is too pale on white).
var figureColours = []color.NRGBA{
	{0x00, 0x72, 0xB2, 255}, {0xD5, 0x5E, 0x00, 255}, {0x00, 0x9E, 0x73, 255}, {0xCC, 0x79, 0xA7, 255},
	{0x56, 0xB4, 0xE9, 255}, {0xE6, 0x9F, 0x00, 255}, {0x40, 0x40, 0x40, 255},
}

var (
	ink   = color.NRGBA{0x33, 0x33, 0x33, 255}
	faint = color.NRGBA{0xE4, 0xE4, 0xE4, 255}
)

// Axes are the labels and kinds of a figure's axes.
type Axes struct {
	X, Y  string
	Whole bool // X is a count: ticks are at whole numbers
	// Late fits the Y axis to what comes after the first tenth of X, so that curves which begin far above the rest can
	// be told apart. The beginning is cut off.
	Late bool
}

// Panel is one of several diagrams of a figure, one below the other.
type Panel struct {
	Axes
	Series []Series
}

// LossCurve draws series over the training step (see Figure).
func LossCurve(title string, series []Series, path string) error {
	return Figure(title, Axes{X: "step", Y: "loss (nats)", Whole: true}, series, path)
}

// Figure draws series and writes the figure to path, as PNG (1200 x 750 pixels) or SVG
// by its extension, replacing an older file in one step. The Y axis spans the smoothed
// curves and all but the outermost 2% of the raw values at either end, so that a spike
// does not flatten the curves.
func Figure(title string, axes Axes, series []Series, path string) error {
	return Panels(title, []Panel{{axes, series}}, path)
}

// Panels is Figure for several diagrams, the first at the top.
func Panels(title string, panels []Panel, path string) error {
	var c interface {
		vg.CanvasSizer
		io.WriterTo
	}
	height := figureHeight + vg.Length(len(panels)-1)*panelHeight
	ext := strings.ToLower(filepath.Ext(path))
	switch ext {
	case ".png":
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(figureWidth, height), vgimg.UseDPI(figureDPI))}
	case ".svg":
		c = vgsvg.New(figureWidth, height)
	default:
		return fmt.Errorf("plot: figure %s: the name must end in .png or .svg", path)
	}
	for i, p := range panels {
		below := vg.Length(len(panels)-1-i) * panelHeight
		above := height - below - figureHeight
		if i > 0 {
			above, title = height-below-panelHeight, ""
		}
		drawPanel(draw.Crop(draw.New(c), 0, 0, below, -above), title, p)
	}
	var buf bytes.Buffer
	if _, err := c.WriteTo(&buf); err != nil {
		return fmt.Errorf("plot: figure %s: %w", path, err)
	}
	b := buf.Bytes()
	if ext == ".svg" {
		// Few machines have Liberation Sans; Arial has the same widths.
		b = bytes.ReplaceAll(b, []byte("font-family:Liberation Sans;"),
			[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	}
	if err := atomicfile.Write(path, b); err != nil {
		return fmt.Errorf("plot: figure %s: %w", path, err)
	}
	return nil
}

func drawPanel(c draw.Canvas, title string, panel Panel) {
	axes := panel.Axes
	p := newPlot(title, axes)
	curves := prepare(panel.Series)
	xmin, xmax, ymin, ymax := ranges(curves, axes.Late)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = xmin, xmax, ymin, ymax
	if math.IsInf(xmin, 1) {
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
		p.X.Label.Text = axes.X + " (no data yet)"
	}
	p.X.Tick.Marker = niceTicks{count: 8}
	if axes.Whole {
		p.X.Tick.Marker = niceTicks{count: 8, smallest: 1}
	}
	p.Y.Tick.Marker = niceTicks{count: 7}

	legend := newLegend(c, curves)
	// Bands and raw values go below every line.
	for _, c := range curves {
		if len(c.band) > 1 {
			pale := c.colour
			pale.A = 48
			p.Add(&plotter.Polygon{XYs: []plotter.XYs{outline(c.band, p.Y.Min, p.Y.Max)}, Color: pale})
		}
	}
	for _, c := range curves {
		if len(c.raw) > 0 {
			pale := c.colour
			pale.A = 64
			p.Add(&plotter.Line{XYs: xys(c.raw), LineStyle: draw.LineStyle{Color: pale, Width: vg.Points(0.6)}})
		}
	}
	for i, c := range curves {
		column := &legend[i%len(legend)]
		line := &plotter.Line{XYs: xys(c.line), LineStyle: draw.LineStyle{Color: c.colour, Width: vg.Points(1.6)}}
		if c.dashed {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(2.5)}
		}
		p.Add(line)
		if !c.eval && len(c.line) != 1 {
			column.Add(c.label, line)
			continue
		}
		dots := &plotter.Scatter{XYs: xys(c.line),
			GlyphStyle: draw.GlyphStyle{Color: c.colour, Radius: vg.Points(2.4), Shape: draw.CircleGlyph{}}}
		p.Add(dots)
		column.Add(c.label, line, dots)
		if c.eval && len(c.line) > 0 {
			p.Add(&plotter.Scatter{XYs: xys([]metric.Point{c.best}),
				GlyphStyle: draw.GlyphStyle{Color: c.colour, Radius: vg.Points(6), Shape: ring{}}})
		}
	}

	// The legend is in a band below the axes, never over the curves.
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	height := legend[0].Rectangle(c).Size().Y
	if len(curves) > 0 {
		height += vg.Points(16)
	}
	const margin = 12
	p.Draw(draw.Crop(c, margin, -margin-6, height+margin, -margin))
	band := draw.Crop(c, legendLeft, -margin, margin, 0)
	band.Max.Y = band.Min.Y + height - vg.Points(6)
	for i := range legend {
		legend[i].Draw(draw.Crop(band, vg.Length(i)*band.Size().X/vg.Length(len(legend)), 0, 0, 0))
	}
}

// legendLeft is the left edge of the legend, near the left end of the x axis.
const legendLeft vg.Length = 52

// newLegend returns the empty columns of the legend: two, or one if a label is
// too long for half the width.
func newLegend(c draw.Canvas, curves []curve) []plot.Legend {
	columns := make([]plot.Legend, 2)
	for i := range columns {
		columns[i] = plot.NewLegend()
		columns[i].Top, columns[i].Left = true, true
		columns[i].Padding = vg.Points(4)
		columns[i].ThumbnailWidth = vg.Points(26)
		columns[i].TextStyle.Font = sans(11)
		columns[i].TextStyle.Color = ink
	}
	for _, curve := range curves {
		width := columns[0].ThumbnailWidth + columns[0].TextStyle.Width(curve.label+"  ")
		if width > (c.Size().X-legendLeft)/2 {
			return columns[:1]
		}
	}
	return columns
}

func sans(size float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
}

// newPlot returns an empty plot in this package's style.
func newPlot(title string, axes Axes) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = vg.Points(10)
	p.Title.TextStyle.Font = sans(14)
	p.Title.TextStyle.Color = ink
	p.X.Label.Text, p.Y.Label.Text = axes.X, axes.Y
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Padding = 0
		a.Label.Padding = vg.Points(5)
		a.Label.TextStyle.Font, a.Tick.Label.Font = sans(12), sans(11)
		a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink
		a.LineStyle.Color, a.Tick.LineStyle.Color = ink, ink
		a.LineStyle.Width, a.Tick.LineStyle.Width = vg.Points(0.8), vg.Points(0.8)
		a.Tick.Length = vg.Points(4)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faint, faint
	grid.Vertical.Width, grid.Horizontal.Width = vg.Points(0.7), vg.Points(0.7)
	p.Add(grid)
	return p
}

// ring is an open circle.
type ring struct{}

// DrawGlyph implements draw.GlyphDrawer.
func (ring) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	c.SetLineStyle(draw.LineStyle{Color: s.Color, Width: vg.Points(1.6)})
	var p vg.Path
	p.Move(vg.Point{X: at.X + s.Radius, Y: at.Y})
	p.Arc(at, s.Radius, 0, 2*math.Pi)
	p.Close()
	c.Stroke(p)
}

// niceTicks puts labelled ticks at multiples of 1, 2 or 5 times a power of ten, for
// example 0.5, 1, 1.5.
type niceTicks struct {
	count    int     // rough number of ticks
	smallest float64 // distance, if not 0
}

// Ticks implements plot.Ticker.
func (n niceTicks) Ticks(lo, hi float64) []plot.Tick {
	rough := max((hi-lo)/float64(n.count), n.smallest)
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if m*power >= rough*0.999 {
			step = m * power
			break
		}
	}
	digits := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	var ticks []plot.Tick
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+1e-9*step && len(ticks) < 50; i++ {
		v := i*step + 0 // not -0
		label := strconv.FormatFloat(v, 'f', digits, 64)
		if math.Abs(v) >= 1e7 || digits > 6 {
			label = strconv.FormatFloat(v, 'g', 4, 64)
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: label})
	}
	return ticks
}
