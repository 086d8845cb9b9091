package sqlterms

import (
	"fmt"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// A CodedTerm is a term in SQL, but for the x of a line. A row has a code, by which the
// functions that are not zero there are known, and their values.
type CodedTerm struct {
	Code      string    // expression of a number from 0 on
	Values    []string  // expressions; "" is 1
	Functions [][]int32 // by value and code: the function, or −1
}

// Size returns the number of codes.
func (t *CodedTerm) Size() int { return len(t.Functions[0]) }

// A Line is the x of a line, standardised, and the index of its weight.
type Line struct {
	X      string
	Weight int
}

// An Encoded is a design in SQL, in three stages of columns, each computed from the one
// before. The first has the cleaned cells by feature: numbers x0, x1, … that are NULL if missing, and
// codes c0, c1, … of levels by their order in the design's table, missing cells last.
type Encoded struct {
	*Dialect
	Lines  []Line
	Terms  []CodedTerm
	Packed bool // the other two stages are an array each

	k      int         // number of the scorer, in the names of columns
	w      [][]float64 // by fold, or one for all
	bases  []CodedTerm // their functions are numbered from 0
	lines  []string    // by basis: the x of a line
	widths []int       // by basis
	places []string    // second stage: the place of each basis
	values []string    // third: the lines, and the second values of hat functions
}

// add adds a column of a basis to a stage, of which kind is in the name, and returns its name.
func (e *Encoded) add(stage *[]string, kind string, b int, sql string) string {
	if name := fmt.Sprintf("%s%d_%d", kind, e.k, b); !e.Packed {
		*stage = append(*stage, sql+" AS "+name)
		return name
	}
	*stage = append(*stage, sql)
	return fmt.Sprintf("%s%d[%d]", kind, e.k, len(*stage))
}

// Stages returns the columns of the second and the third stage.
func (e *Encoded) Stages() (places, values []string) {
	return e.stage(e.places, "p"), e.stage(e.values, "l")
}

func (e *Encoded) stage(columns []string, kind string) []string {
	if !e.Packed || len(columns) == 0 {
		return columns
	}
	return []string{fmt.Sprintf("%s AS %s%d", e.Array(columns), kind, e.k)}
}

// Encode returns a design with Terms in SQL, with weights w: those of each fold, or one for all. k is in
// the names of its columns.
func (d *Dialect) Encode(rows *logreg.Rows, w [][]float64, k int, packed bool) *Encoded {
	e := &Encoded{Dialect: d, k: k, w: w, Packed: packed, bases: make([]CodedTerm, len(rows.Bases))}
	e.lines = make([]string, len(rows.Bases))
	for b := range rows.Bases {
		e.widths = append(e.widths, rows.Bases[b].Width)
		if s := rows.Bases[b].Shape; s != nil {
			e.bases[b], e.lines[b] = e.encodeNumber(b, rows.Bases[b].Feature, s)
		} else {
			e.bases[b] = e.category(b, &rows.Bases[b])
		}
	}
	for _, t := range rows.Terms {
		if shape := rows.Bases[t.A].Shape; shape != nil && shape.Line {
			e.Lines = append(e.Lines, Line{e.lines[t.A], int(t.First)})
		}
		if p := e.coded(t); p.Size() > 0 {
			e.Terms = append(e.Terms, p)
		}
	}
	return e
}

// coded returns a term but for the x of a line.
func (e *Encoded) coded(t logreg.Term) CodedTerm {
	b, width := CodedTerm{"0", []string{""}, [][]int32{{0}}}, 1
	if t.B >= 0 {
		b, width = e.bases[t.B], e.widths[t.B]
	}
	return e.bases[t.A].times(b, width, t.First)
}

// times returns the products with the functions of another term, of which there are so many.
// They are numbered from first on.
func (t *CodedTerm) times(o CodedTerm, width int, first int32) CodedTerm {
	out := CodedTerm{Code: t.Code}
	if o.Size() > 1 {
		out.Code = fmt.Sprintf("(%s * %d + %s)", t.Code, o.Size(), o.Code)
	}
	for i, f := range t.Functions {
		for k, g := range o.Functions {
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
			out.Functions, out.Values = append(out.Functions, at), append(out.Values, Product(t.Values[i], o.Values[k]))
		}
	}
	return out
}

// Product returns the expression of a product, "" for 1.
func Product(factors ...string) string {
	return strings.Join(slices.DeleteFunc(factors, func(f string) bool { return f == "" }), " * ")
}

// category encodes a category: by the codes of its levels or, if the basis has fewer
// functions, by these.
func (e *Encoded) category(b int, basis *logreg.Basis) CodedTerm {
	p := CodedTerm{fmt.Sprintf("c%d", basis.Feature), []string{""}, [][]int32{nil}}
	place := make([]string, len(basis.At))
	for i, s := range basis.At {
		n, f := basis.Width, int32(-1)
		if s.N > 0 {
			n, f = int(s.First), s.First
		}
		place[i], p.Functions[0] = fmt.Sprint(n), append(p.Functions[0], f)
	}
	if basis.Width+1 < len(basis.At) {
		code := e.Lookup(place, p.Code)
		p.Code, p.Functions[0] = e.add(&e.places, "p", b, code), append(dataset.UpTo[int32](basis.Width), -1)
	}
	return p
}

// encodeNumber encodes a number, and returns its line if it has one. The place of a missing cell
// with a function of its own is the last.
func (e *Encoded) encodeNumber(b, feature int, s *logreg.Shape) (p CodedTerm, line string) {
	p = CodedTerm{"", []string{""}, [][]int32{nil}}
	x := fmt.Sprintf("x%d", feature)
	filled := fmt.Sprintf("COALESCE(%s, %s)", x, e.Number(s.Fill))
	place := "0"
	switch {
	case s.Line:
		line = e.add(&e.values, "l", b, fmt.Sprintf("(%s - %s) / %s", filled, e.Number(s.Mean), e.Number(s.Scale)))
		if s.Missing < 0 {
			return p, line
		}
		p.Functions[0] = []int32{-1}
	case s.Values != nil:
		place = fmt.Sprintf("COALESCE(NULLIF(array_position(%s, %s), 0) - 1, %d)",
			e.Array(e.Numbers(s.Values)), filled, len(s.Values))
		p.Functions[0] = append(dataset.UpTo[int32](len(s.Values)), -1)
	default:
		last := len(s.Knots) - 1
		if inner := s.Knots[1:last]; len(inner) > 0 {
			place = fmt.Sprintf("width_bucket(%s, %s)", filled, e.Array(e.Numbers(inner)))
		}
		all := dataset.UpTo[int32](last + 1)
		p.Functions = [][]int32{all[:last:last], all[1:]}
	}
	if s.Missing >= 0 {
		place = fmt.Sprintf("CASE WHEN %s IS NULL THEN %d ELSE %s END", x, len(p.Functions[0]), place)
		for k := range p.Functions {
			p.Functions[k] = append(p.Functions[k], []int32{s.Missing, -1}[k])
		}
	}
	p.Code = e.add(&e.places, "p", b, place)
	if len(p.Functions) == 2 {
		share := e.share(b, p.Code, filled, s.Knots)
		p.Values = []string{"(1 - " + share + ")", share}
	}
	return p, line
}

// least is the least share of a hat function: PostgreSQL reports an error for products
// below the smallest double.
const least = 1e-15

// share returns the column of x's share of the interval between the knots at a place, 0
// where a cell is missing.
func (e *Encoded) share(b int, place, x string, knots []float64) string {
	last := len(knots) - 1
	from, above, width := make([]float64, last+1), make([]float64, last+1), make([]float64, last+1)
	for i := range last {
		from[i], width[i] = knots[i], knots[i+1]-knots[i]
		above[i] = from[i] + least*width[i]
	}
	above[last], width[last] = knots[last], 1 // a missing cell is never above
	x = fmt.Sprintf("LEAST(GREATEST(%s, %s), %s)", x, e.Number(knots[0]), e.Number(knots[last]))
	at := func(of []float64) string { return e.Lookup(e.Numbers(of), place) }
	return e.add(&e.values, "l", b, fmt.Sprintf("CASE WHEN %s > %s THEN (%s - %s) / %s ELSE %s END",
		x, at(above), x, at(from), at(width), e.Number(0)))
}

// weight returns the expression of the weight of one of some functions, which a code tells: that of the fold, if
// there is more than one list.
func (e *Encoded) weight(of [][]float64, functions []int32, code string) string {
	var weights []float64
	for _, w := range of {
		for _, n := range functions {
			if n < 0 {
				weights = append(weights, 0)
			} else {
				weights = append(weights, w[n])
			}
		}
	}
	if len(weights) == 1 {
		return e.Number(weights[0])
	}
	if len(of) > 1 {
		code = fmt.Sprintf("fold * %d + %s", len(functions), code)
	}
	return e.Lookup(e.Numbers(weights), code)
}

// maxLogit is the |z| from which exp(−|z|) is constant: products with it stay above the
// smallest double, below which PostgreSQL reports an error.
const maxLogit = 300

// Exp returns the column e = exp(−|z|) of scorer k, whose log-odds are column z.
func (d *Dialect) Exp(k int) string {
	return fmt.Sprintf("exp(-LEAST(abs(z%d), %s)) AS e%d", k, d.Number(maxLogit), k)
}

// Probability returns the expression of scorer k's probability.
func Probability(k int) string {
	return fmt.Sprintf("CASE WHEN z%d >= 0 THEN 1 ELSE e%d END / (1 + e%d)", k, k, k)
}

// Z returns the expression of a row's log-odds.
func (e *Encoded) Z() string {
	sum := []string{e.weight(e.w, []int32{int32(len(e.w[0]) - 1)}, "0")}
	for _, l := range e.Lines {
		sum = append(sum, l.X+" * "+e.weight(e.w, []int32{int32(l.Weight)}, "0"))
	}
	for _, p := range e.Terms {
		sum = append(sum, e.sum(p, e.w)...)
	}
	return Combine(sum, " + ")
}

// sum returns the expressions that a term's functions add up from.
func (e *Encoded) sum(p CodedTerm, w [][]float64) (sum []string) {
	for k, f := range p.Functions {
		sum = append(sum, Product(e.weight(w, f, p.Code), p.Values[k]))
	}
	return sum
}

// term returns the expression of what a term of the design adds.
func (e *Encoded) term(t logreg.Term) string {
	var sum []string
	if line := e.lines[t.A]; line != "" && t.B < 0 {
		sum = append(sum, line+" * "+e.weight(e.w, []int32{t.First}, "0"))
	}
	if p := e.coded(t); p.Size() > 0 {
		sum = append(sum, e.sum(p, e.w)...)
	}
	return Combine(sum, " + ")
}
