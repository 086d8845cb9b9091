package sqldata

import (
	"fmt"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// A codedTerm is a term in SQL, but for the x of a line. A row has a code, by which the
// functions that are not zero there are known, and their values.
type codedTerm struct {
	code      string    // expression of a number from 0 on
	values    []string  // expressions; "" is 1
	functions [][]int32 // by value and code: the function, or −1
}

func (t *codedTerm) size() int { return len(t.functions[0]) }

// A lineOf is the x of a line, standardised, and the index of its weight.
type lineOf struct {
	x      string
	weight int
}

// encoded is a design in SQL, in three stages of columns, each computed from the one
// before; the first is that of cleaned.
type encoded struct {
	*view
	k      int         // number of the scorer, in the names of columns
	w      [][]float64 // by fold, or one for all
	lines  []lineOf
	terms  []codedTerm
	places []string // second stage: the place of each basis
	values []string // third: the lines, and the second values of hat functions
	packed bool     // these stages are an array each
}

// place adds a column to the second stage and returns its name.
func (e *encoded) place(b int, sql string) string {
	return e.add(&e.places, "p", b, sql)
}

// value adds a column to the third.
func (e *encoded) value(b int, sql string) string {
	return e.add(&e.values, "l", b, sql)
}

func (e *encoded) add(stage *[]string, kind string, b int, sql string) string {
	if name := fmt.Sprintf("%s%d_%d", kind, e.k, b); !e.packed {
		*stage = append(*stage, sql+" AS "+name)
		return name
	}
	*stage = append(*stage, sql)
	return fmt.Sprintf("%s%d[%d]", kind, e.k, len(*stage))
}

// stage returns the columns of a stage.
func (e *encoded) stage(columns []string, kind string) []string {
	if !e.packed || len(columns) == 0 {
		return columns
	}
	return []string{fmt.Sprintf("%s AS %s%d", e.d.array(columns), kind, e.k)}
}

// encode returns a design with Terms in SQL.
func (v *view) encode(rows *logreg.Rows, w [][]float64, k int) *encoded {
	e := &encoded{view: v, k: k, w: w, packed: v.packs(len(rows.Bases))}
	lines := make([]string, len(rows.Bases))
	bases := make([]codedTerm, len(rows.Bases)) // their functions are numbered from 0
	for b := range rows.Bases {
		if s := rows.Bases[b].Shape; s != nil {
			bases[b], lines[b] = e.number(b, rows.Bases[b].Feature, s)
		} else {
			bases[b] = e.category(b, &rows.Bases[b])
		}
	}
	for _, t := range rows.Terms {
		a, shape := bases[t.A], rows.Bases[t.A].Shape
		if shape != nil && shape.Line {
			e.lines = append(e.lines, lineOf{lines[t.A], int(t.First)})
		}
		b, width := codedTerm{"0", []string{""}, [][]int32{{0}}}, 1
		if t.B >= 0 {
			b, width = bases[t.B], rows.Bases[t.B].Width
		}
		if p := a.times(b, width, t.First); p.size() > 0 {
			e.terms = append(e.terms, p)
		}
	}
	return e
}

// times returns the products with the functions of another term, of which there are so many.
// They are numbered from first on.
func (t *codedTerm) times(o codedTerm, width int, first int32) codedTerm {
	out := codedTerm{code: t.code}
	if o.size() > 1 {
		out.code = fmt.Sprintf("(%s * %d + %s)", t.code, o.size(), o.code)
	}
	for i, f := range t.functions {
		for k, g := range o.functions {
			var at []int32
			for _, a := range f {
				for _, b := range g {
					n := int32(-1)
					if a >= 0 && b >= 0 {
						n = first + a*int32(width) + b
					}
					at = append(at, n)
				}
			}
			out.functions, out.values = append(out.functions, at), append(out.values, product(t.values[i], o.values[k]))
		}
	}
	return out
}

// product returns the expression of a product, "" for 1.
func product(factors ...string) string {
	return strings.Join(slices.DeleteFunc(factors, func(f string) bool { return f == "" }), " * ")
}

// category encodes a category: by the codes of its levels or, if the basis has fewer
// functions, by these.
func (e *encoded) category(b int, basis *logreg.Basis) codedTerm {
	p := codedTerm{fmt.Sprintf("c%d", basis.Feature), []string{""}, [][]int32{nil}}
	place := make([]string, len(basis.At))
	for i, s := range basis.At {
		n, f := basis.Width, int32(-1)
		if s.N > 0 {
			n, f = int(s.First), s.First
		}
		place[i], p.functions[0] = fmt.Sprint(n), append(p.functions[0], f)
	}
	if basis.Width+1 < len(basis.At) {
		code := e.d.lookup(place, p.code)
		p.code, p.functions[0] = e.place(b, code), append(dataset.UpTo[int32](basis.Width), -1)
	}
	return p
}

// number encodes a number, and returns its line if it has one. The place of a missing cell
// with a function of its own is the last.
func (e *encoded) number(b, feature int, s *logreg.Shape) (p codedTerm, line string) {
	p = codedTerm{"", []string{""}, [][]int32{nil}}
	x := fmt.Sprintf("x%d", feature)
	filled := fmt.Sprintf("COALESCE(%s, %s)", x, e.d.number(s.Fill))
	place := "0"
	switch {
	case s.Line:
		line = e.value(b, fmt.Sprintf("(%s - %s) / %s", filled, e.d.number(s.Mean), e.d.number(s.Scale)))
		if s.Missing < 0 {
			return p, line
		}
		p.functions[0] = []int32{-1}
	case s.Values != nil:
		place = fmt.Sprintf("COALESCE(NULLIF(array_position(%s, %s), 0) - 1, %d)",
			e.d.array(e.d.numbers(s.Values)), filled, len(s.Values))
		p.functions[0] = append(dataset.UpTo[int32](len(s.Values)), -1)
	default:
		last := len(s.Knots) - 1
		if inner := s.Knots[1:last]; len(inner) > 0 {
			place = fmt.Sprintf("width_bucket(%s, %s)", filled, e.d.array(e.d.numbers(inner)))
		}
		all := dataset.UpTo[int32](last + 1)
		p.functions = [][]int32{all[:last:last], all[1:]}
	}
	if s.Missing >= 0 {
		place = fmt.Sprintf("CASE WHEN %s IS NULL THEN %d ELSE %s END", x, len(p.functions[0]), place)
		for k := range p.functions {
			p.functions[k] = append(p.functions[k], []int32{s.Missing, -1}[k])
		}
	}
	p.code = e.place(b, place)
	if len(p.functions) == 2 {
		share := e.share(b, p.code, filled, s.Knots)
		p.values = []string{"(1 - " + share + ")", share}
	}
	return p, line
}

// least is the least share of a hat function: PostgreSQL reports an error for products
// below the smallest double.
const least = 1e-15

// share returns the column of x's share of the interval between the knots at a place, 0
// where a cell is missing.
func (e *encoded) share(b int, place, x string, knots []float64) string {
	last := len(knots) - 1
	from, above, width := make([]float64, last+1), make([]float64, last+1), make([]float64, last+1)
	for i := range last {
		from[i], width[i] = knots[i], knots[i+1]-knots[i]
		above[i] = from[i] + least*width[i]
	}
	above[last], width[last] = knots[last], 1 // a missing cell is never above
	x = fmt.Sprintf("LEAST(GREATEST(%s, %s), %s)", x, e.d.number(knots[0]), e.d.number(knots[last]))
	at := func(of []float64) string { return e.d.lookup(e.d.numbers(of), place) }
	return e.value(b, fmt.Sprintf("CASE WHEN %s > %s THEN (%s - %s) / %s ELSE %s END",
		x, at(above), x, at(from), at(width), e.d.number(0)))
}

// weight returns the expression of the weight of one of some functions, which a code tells.
func (e *encoded) weight(functions []int32, code string) string {
	var weights []float64
	for _, w := range e.w {
		for _, n := range functions {
			if n < 0 {
				weights = append(weights, 0)
			} else {
				weights = append(weights, w[n])
			}
		}
	}
	if len(weights) == 1 {
		return e.d.number(weights[0])
	}
	if len(e.w) > 1 {
		code = fmt.Sprintf("fold * %d + %s", len(functions), code)
	}
	return e.d.lookup(e.d.numbers(weights), code)
}

// z returns the expression of a row's log-odds.
func (e *encoded) z() string {
	sum := []string{e.weight([]int32{int32(len(e.w[0]) - 1)}, "0")}
	for _, l := range e.lines {
		sum = append(sum, l.x+" * "+e.weight([]int32{int32(l.weight)}, "0"))
	}
	for _, p := range e.terms {
		for k, f := range p.functions {
			sum = append(sum, product(e.weight(f, p.code), p.values[k]))
		}
	}
	return combine(sum, " + ")
}

// values returns the number of values.
func (g *termGroup) values() int { return len(g.terms[0].values) }

// weights returns the indices of the weights of the functions that have a value where the
// group has a code.
func (g *termGroup) weights(value, code int) []int {
	var weights []int
	for _, t := range g.terms {
		if n := t.functions[value][code%t.size()]; n >= 0 {
			weights = append(weights, int(n))
		}
		code /= t.size()
	}
	return weights
}

// columns returns the columns of group i: its code and, if they are not 1, the values.
func (g *termGroup) columns(i int) []string {
	code, factor := []string{}, 1
	for _, t := range g.terms {
		code, factor = append(code, fmt.Sprintf("%s * %d", t.code, factor)), factor*t.size()
	}
	columns := []string{strings.Join(code, " + ") + " AS " + groupName(i)}
	for k, value := range g.terms[0].values {
		if value != "" && !g.inline {
			columns = append(columns, value+" AS "+g.value(i, k))
		}
	}
	return columns
}

// value returns a value of group i, "" for 1.
func (g *termGroup) value(i, k int) string {
	if g.values() == 1 || g.inline {
		return g.terms[0].values[k]
	}
	return fmt.Sprintf("v%d_%d", i, k)
}
