package report

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/strictjson"

	"gonum.org/v1/plot"
)

// A Profile is what the page of prepared customers shows.
type Profile struct {
	*dataset.Quality
	Schema *dataset.Schema
	Notes  []string // on how the file was read; those on a column begin with its name
}

// WriteProfile writes the page.
func WriteProfile(w io.Writer, p Profile) error {
	const most = 40 // columns that are drawn
	view := profileView{Profile: p}
	for j := range p.Columns {
		view.Table = append(view.Table, newProfiled(j, &p))
	}
	view.Sections = slices.Clone(view.Table)
	slices.SortStableFunc(view.Sections, func(a, b *profiled) int { return cmp.Compare(b.differs, a.differs) })
	view.Sections = view.Sections[:min(len(view.Sections), most)]
	for _, c := range view.Sections {
		c.Drawn = true
	}
	for _, n := range p.Notes {
		if !slices.ContainsFunc(view.Table, func(c *profiled) bool { return slices.Contains(c.Said, c.of(n)) }) {
			view.Said = append(view.Said, n)
		}
	}
	return write(w, "profile.html", view)
}

// profileView is what the template sees.
type profileView struct {
	Profile
	Said     []string    // notes on no column
	Table    []*profiled // all columns
	Sections []*profiled // those drawn: where the rates differ most first
}

// Positives returns how many of the customers are positive.
func (v profileView) Positives() int { return v.Target.Labels[v.Target.Positive] }

// profiled is a column as the page shows it.
type profiled struct {
	*dataset.ColumnQuality
	ID     string
	Drawn  bool
	Said   []string
	Groups []rateView
	Beyond int     // rows outside the histogram
	Base   float64 // rate of all customers, in percent of the scale
	Scale  float64 // the largest rate on it

	feature *dataset.Feature
	differs float64 // standard deviation of the groups' rates
}

// rateView is a group with its places on the scale of rates, and of rows, in percent.
type rateView struct {
	dataset.Group
	Label          template.HTML
	Low, At, Width float64
	Share          float64
	Up             bool // more than on average
}

func newProfiled(j int, p *Profile) *profiled {
	q := &p.Columns[j]
	c := &profiled{ColumnQuality: q, ID: fmt.Sprintf("column-%d", j), feature: &p.Schema.Features[j]}
	for _, n := range p.Notes {
		if text := c.of(n); text != "" {
			c.Said = append(c.Said, text)
		}
	}
	for _, f := range p.Findings {
		if slices.Contains(f.Columns, q.Name) {
			c.Said = append(c.Said, f.Text+": "+f.Advice)
		}
	}
	base := float64(p.Target.Labels[p.Target.Positive]) / float64(p.RowsKept)
	longest := 0
	for _, g := range q.Groups {
		longest, c.Scale = max(longest, g.Rows), max(c.Scale, g.Rate.Interval[1])
		c.differs += float64(g.Rows) * (g.Rate.Value - base) * (g.Rate.Value - base)
		if !g.Missing {
			c.Beyond += g.Rows
		}
	}
	for _, b := range q.Histogram {
		c.Beyond -= b.Rows
	}
	place := func(rate float64) float64 { return 100 * rate / c.Scale }
	for _, g := range q.Groups {
		low, high := place(g.Rate.Interval[0]), place(g.Rate.Interval[1])
		c.Groups = append(c.Groups, rateView{
			Group: g, Label: c.label(g), Low: low, At: place(g.Rate.Value), Width: high - low,
			Share: 100 * float64(g.Rows) / float64(longest), Up: g.Rate.Value > base,
		})
	}
	c.Base = place(min(base, c.Scale))
	return c
}

// of returns what a note says of the column, or "".
func (c *profiled) of(note string) string {
	text, found := strings.CutPrefix(note, strictjson.Printable(c.Name)+": ")
	if !found {
		return ""
	}
	return text
}

// Value shows a number in the notation of its column.
func (c *profiled) Value(x float64) template.HTML {
	switch n := &c.feature.Notation; {
	case n.Date != "":
		return template.HTML("<time>" + template.HTMLEscapeString(n.Format(x)) + "</time>")
	case n.Unit == dataset.Percent:
		return percent(x, 1)
	case n.Unit != "":
		return significant(x, 6) + template.HTML(" "+template.HTMLEscapeString(n.Unit))
	}
	return significant(x, 6)
}

func (c *profiled) label(g dataset.Group) template.HTML {
	switch {
	case g.Missing:
		return `<span class="quiet">missing</span>`
	case g.Others > 0:
		return `<span class="quiet">` + whole(g.Others) + ` rarer levels</span>`
	case g.From == nil:
		return template.HTML(template.HTMLEscapeString(dataset.Shorten(g.Level)))
	case *g.From == *g.To:
		return c.Value(*g.From)
	}
	return c.span(*g.From, *g.To)
}

// Range shows the smallest and the largest number.
func (c *profiled) Range() template.HTML { return c.span(*c.Min, *c.Max) }

func (c *profiled) span(from, to float64) template.HTML {
	if c.feature.Notation.Date != "" { // the number of days falls with the date
		from, to = to, from
	}
	return c.Value(from) + " to " + c.Value(to)
}

// Plot draws the histogram of a number.
func (c *profiled) Plot() template.HTML {
	if len(c.Histogram) == 0 {
		return ""
	}
	p := newPlot("", "")
	var list []bar
	top := 1
	for _, b := range c.Histogram {
		list = append(list, bar{b.From, b.To, float64(b.Rows)})
		top = max(top, b.Rows)
	}
	bars(p, inkOther, inkSoft, list)
	p.X.Min, p.X.Max = list[0].From, list[len(list)-1].To
	p.Y.Min, p.Y.Max = 0, 1.05*float64(top)
	p.Y.Tick.Marker = plot.TickerFunc(countTicks)
	p.X.Tick.Marker = plot.TickerFunc(roundTicks)
	if n := c.feature.Notation; n.Date != "" {
		p.X.Scale = plot.InvertedScale{Normalizer: p.X.Scale} // later dates are fewer days before
		p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) (ticks []plot.Tick) {
			for k := range 4 {
				at := low + (high-low)*(float64(k)+0.5)/4
				n.Date = dataset.YearFirst
				ticks = append(ticks, plot.Tick{Value: at, Label: n.Format(at)})
			}
			return ticks
		})
	}
	return svg(p, half, "histogram of "+c.Name)
}
