package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/strictjson"

	"gonum.org/v1/plot"
)

// ProfilePage returns the page of prepared customers. The notes say how the file was read; those on a
// column begin with its name.
func ProfilePage(q *dataset.Quality, notes []string) ([]byte, error) {
	const most = 40 // columns that are drawn
	view := profileView{Quality: q}
	byName := map[string]*profiled{}
	for j := range q.Columns {
		c := &profiled{ColumnQuality: &q.Columns[j], ID: fmt.Sprintf("column-%d", j), sample: q.Sample, at: j}
		c.Base = float64(q.Target.Labels[q.Target.Positive]) / float64(q.RowsKept)
		c.Scale = c.Base
		for _, g := range c.Groups {
			c.Scale, c.Longest = max(c.Scale, g.Rate.Interval[1]), max(c.Longest, g.Rows)
			c.differs += float64(g.Rows) * (g.Rate.Value - c.Base) * (g.Rate.Value - c.Base)
		}
		view.Table, byName[strictjson.Printable(c.Name)] = append(view.Table, c), c
	}
	for _, note := range notes {
		if name, text, _ := strings.Cut(note, ": "); byName[name] != nil {
			byName[name].Said = append(byName[name].Said, text)
		} else {
			view.Said = append(view.Said, note)
		}
	}
	for _, f := range q.Findings {
		for _, name := range f.Columns {
			if c := byName[strictjson.Printable(name)]; c != nil {
				c.Said = append(c.Said, f.Text+": "+f.Advice)
			}
		}
	}
	view.Sections = slices.Clone(view.Table)
	slices.SortStableFunc(view.Sections, func(a, b *profiled) int { return cmp.Compare(b.differs, a.differs) })
	view.Sections = view.Sections[:min(len(view.Sections), most)]
	for _, c := range view.Sections {
		c.Drawn = true
	}
	return fill("profile.html", view)
}

// profileView is what the template sees.
type profileView struct {
	*dataset.Quality
	Said     []string    // notes on no column
	Table    []*profiled // all columns
	Sections []*profiled // those drawn: where the rates differ most first
}

// profiled is a column as the page shows it.
type profiled struct {
	*dataset.ColumnQuality
	ID      string
	Drawn   bool
	Said    []string
	Base    float64 // rate of all customers
	Scale   float64 // the largest rate that is drawn
	Longest int     // rows of the largest group

	sample  *dataset.Sample
	at      int     // in its columns
	differs float64 // how much the groups' rates do
}

// Span shows a range of numbers in the notation of the column.
func (c *profiled) Span(from, to float64) template.HTML {
	n := &c.sample.Schema.Features[c.at].Notation
	if n.Date != "" { // the number of days falls with the date
		from, to = to, from
	}
	show := func(x float64) template.HTML {
		if *n == (dataset.Notation{}) {
			return significant(x, 6)
		}
		return template.HTML(`<span class="range">` + template.HTMLEscapeString(n.Format(x)) + "</span>")
	}
	if from == to {
		return show(from)
	}
	return show(from) + " to " + show(to)
}

// Plot draws the histogram of a number, without the outer hundredths if these are far away.
func (c *profiled) Plot() template.HTML {
	const most, far = 24, 5 // bins; ranges of the others
	numbers, _ := c.sample.Ascending(c.at, c.sample.Use)
	if len(numbers) == 0 {
		return ""
	}
	from, to, outer := numbers[0], numbers[len(numbers)-1], len(numbers)/100
	if low, high := numbers[outer], numbers[len(numbers)-1-outer]; high > low && to-from > far*(high-low) {
		numbers, from, to = numbers[outer:len(numbers)-outer], low, high
	}
	broken := func(x float64) bool { return x != math.Trunc(x) || math.Abs(x) > 1<<52 }
	if from == to || !slices.ContainsFunc(numbers, broken) { // 1<<52 has halves beside it
		margin := max(0.5, math.Abs(to)/(1<<52))
		from, to = from-margin, to+margin
	}
	width := (to - from) / most
	if !slices.ContainsFunc(numbers, broken) {
		width = math.Ceil(width)
	}
	list := make([]bar, int(math.Ceil((to-from)/width-1e-9)))
	for _, x := range numbers {
		list[min(int((x-from)/width), len(list)-1)].High++
	}
	top := 0.0
	for k := range list {
		b := &list[k]
		b.From, b.To = from+float64(k)*width, min(from+float64(k+1)*width, to)
		b.High *= width / (b.To - b.From) // the last one may be narrower
		top = max(top, b.High)
	}
	p := newPlot("", "")
	bars(p, inkOther, inkSoft, list)
	p.X.Min, p.X.Max = from, to
	p.Y.Min, p.Y.Max = 0, 1.05*top
	p.Y.Tick.Marker, p.X.Tick.Marker = plot.TickerFunc(countTicks), plot.TickerFunc(roundTicks)
	if n := c.sample.Schema.Features[c.at].Notation; n.Date != "" {
		ticks := roundTicks(p.X.Min, p.X.Max)
		for i := range ticks {
			ticks[i].Label = n.Format(ticks[i].Value)
		}
		p.X.Scale = plot.InvertedScale{Normalizer: p.X.Scale}
		p.X.Tick.Marker = plot.ConstantTicks(ticks)
	}
	return svg(p, half, "histogram of "+c.Name)
}
