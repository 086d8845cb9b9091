// Package growth draws how the cost of the steps grows, from what make growth measured.
package growth

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"churn/internal/testing/need"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// An ink is a colour on a light page and on a dark one, those of the other pages.
type ink [2]color.RGBA

var (
	inkText = ink{{0x17, 0x20, 0x1f, 0xff}, {0xe9, 0xef, 0xee, 0xff}}
	inkGrid = ink{{0xc3, 0xcb, 0xca, 0xff}, {0x47, 0x52, 0x51, 0xff}}

	steps = []string{"generate", "prepare", "train", "evaluate"}
	inks  = []ink{
		{{0x54, 0x61, 0x5f, 0xff}, {0xa5, 0xb3, 0xb1, 0xff}}, {{0x0b, 0x6e, 0x69, 0xff}, {0x5c, 0xc9, 0xc1, 0xff}},
		{{0x2c, 0x66, 0xb0, 0xff}, {0x82, 0xb4, 0xf2, 0xff}}, {{0xb3, 0x48, 0x0a, 0xff}, {0xf2, 0x95, 0x5c, 0xff}},
	}
	dashes = [][]vg.Length{nil, {5, 3}, {1.5, 2.5}} // by source, in the order of the file
)

// A panel draws seconds or bytes against rows or columns.
type panel struct {
	against, x, y string
	column        int // of the file
	unit          float64
}

var panels = [][]panel{
	{{"rows", "rows", "seconds", 4, 1}, {"columns", "columns, of 5,000 rows", "", 4, 1}},
	{{"rows", "rows", "MB of memory", 5, 1e6}, {"columns", "columns, of 5,000 rows", "", 5, 1e6}},
}

// TestPicture draws docs/pictures/growth-light.svg and growth-dark.svg from growth.csv beside them, and
// compares them with those that are there. With CHURN_PICTURES, that folder, it writes them.
func TestPicture(t *testing.T) {
	folder := filepath.Join("..", "..", "..", "docs", "pictures")
	f, err := os.Open(filepath.Join(folder, "growth.csv"))
	need.NoError(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	need.NoError(t, err)
	for dark, name := range []string{"growth-light.svg", "growth-dark.svg"} {
		picture := drawAll(t, rows[1:], dark)
		if write := os.Getenv("CHURN_PICTURES"); write != "" {
			need.NoError(t, os.WriteFile(filepath.Join(write, name), picture, 0o644))
		} else if there, err := os.ReadFile(filepath.Join(folder, name)); err != nil || !bytes.Equal(there, picture) {
			t.Errorf("docs/pictures/%s is not what growth.csv says: make pictures draws it again (%v)", name, err)
		}
	}
}

var fonts = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;`)

// drawAll returns the panels as SVG.
func drawAll(t *testing.T, rows [][]string, dark int) []byte {
	var sources []string
	for _, row := range rows {
		if !slices.Contains(sources, row[0]) {
			sources = append(sources, row[0])
		}
	}
	var plots [][]*plot.Plot
	for _, line := range panels {
		plots = append(plots, nil)
		for _, p := range line {
			drawn := p.draw(t, rows, sources, dark)
			plots[len(plots)-1] = append(plots[len(plots)-1], drawn)
		}
	}
	legend(plots[0][0], sources, dark)
	canvas := vgsvg.New(760, 560)
	tiles := draw.Tiles{Rows: 2, Cols: 2, PadX: 14, PadY: 14, PadTop: 4, PadBottom: 4, PadLeft: 4, PadRight: 12}
	aligned := plot.Align(plots, tiles, draw.New(canvas))
	for i := range plots {
		for j := range plots[i] {
			plots[i][j].Draw(aligned[i][j])
		}
	}
	var b bytes.Buffer
	_, err := canvas.WriteTo(&b)
	need.NoError(t, err)
	return fonts.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
}

func (p panel) draw(t *testing.T, rows [][]string, sources []string, dark int) *plot.Plot {
	out := plot.New()
	out.BackgroundColor = nil
	out.X.Label.Text, out.Y.Label.Text = p.x, p.y
	for _, axis := range []*plot.Axis{&out.X, &out.Y} {
		axis.Scale, axis.Tick.Marker = plot.LogScale{}, plot.TickerFunc(decades)
		axis.LineStyle.Width, axis.Tick.LineStyle.Width, axis.Tick.Length, axis.Padding = 0, 0, 0, 4
		for _, style := range []*text.Style{&axis.Label.TextStyle, &axis.Tick.Label} {
			style.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
			style.Color = inkText[dark]
		}
	}
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: inkGrid[dark], Width: 0.5}
	grid.Vertical = grid.Horizontal
	out.Add(grid)
	for i, step := range steps {
		for j, source := range sources {
			var points plotter.XYs
			for _, row := range rows {
				if row[0] == source && row[1] == step && row[2] == p.against {
					points = append(points, plotter.XY{X: number(t, row[3]), Y: number(t, row[p.column]) / p.unit})
				}
			}
			if len(points) > 0 {
				out.Add(&plotter.Line{XYs: points, LineStyle: style(inks[i], j, dark)})
			}
		}
	}
	return out
}

func style(c ink, source, dark int) draw.LineStyle {
	return draw.LineStyle{Color: c[dark], Width: 1.8, Dashes: dashes[source]}
}

// legend names the colours of the steps and the dashes of the sources.
func legend(p *plot.Plot, sources []string, dark int) {
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, true, 2
	p.Legend.TextStyle.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	p.Legend.TextStyle.Color = inkText[dark]
	for i, step := range steps {
		p.Legend.Add(step, &plotter.Line{LineStyle: style(inks[i], 0, dark)})
	}
	for j, source := range sources {
		p.Legend.Add(source, &plotter.Line{LineStyle: style(inkText, j, dark)})
	}
}

func number(t *testing.T, cell string) float64 {
	x, err := strconv.ParseFloat(cell, 64)
	need.NoError(t, err)
	return x
}

// decades labels the powers of ten of an axis, of a short one their multiples by 2 and 5 too.
func decades(low, high float64) (ticks []plot.Tick) {
	factors := []float64{1}
	if high/low < 1000 {
		factors = []float64{1, 2, 5}
	}
	for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
		for _, factor := range factors {
			if x := factor * math.Pow(10, e); x >= low*0.999 && x <= high*1.001 {
				ticks = append(ticks, plot.Tick{Value: x, Label: label(x)})
			}
		}
	}
	return ticks
}

func label(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%g M", x/1e6)
	case x >= 1e3:
		return fmt.Sprintf("%g,000", x/1e3)
	}
	return fmt.Sprintf("%.4g", x)
}
