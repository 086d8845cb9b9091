package dataset

import "fmt"

// A Census is Clean for rows that stay where they are, such as in a database: the
// same rules, gates and report, for cells that were counted there by their text.
//
// Read and Problem are told of all rows, Kept and KeptLabel of those that are not
// left out; Conclude, once at the end, judges the whole.
type Census struct {
	gates
	labels labels
	beyond []int // features with more texts than most, which Read was not told of
	most   int
}

// NewCensus returns the census of no rows. source names them in messages.
func (s *Schema) NewCensus(source string, limits Limits) *Census {
	return &Census{
		gates:  gates{s, limits, newQuality(s, source), &failures{file: source}},
		labels: labels{schema: s},
	}
}

// Read cleans and judges a text that so many rows have as feature j; "" is what a
// database calls null too. It returns what the text becomes, and whether rows with
// it are left out.
func (c *Census) Read(j int, raw string, rows int) (v Value, drop bool) {
	v, _, changes, problem := c.schema.Features[j].Clean(raw)
	q := &c.quality.Columns[j]
	for bit, count := range map[Changes]*int{Trimmed: &q.Trimmed, Recased: &q.Recased, Clipped: &q.Clipped} {
		if changes&bit != 0 {
			*count += rows
		}
	}
	if v.Missing {
		q.Missing += rows
	}
	if problem == nil {
		return v, false
	}
	return v, c.Problem(j, problem, rows)
}

// Counted tells of numbers of feature j that were cleaned where they are.
func (c *Census) Counted(j, missing, clipped int) {
	c.quality.Columns[j].Missing += missing
	c.quality.Columns[j].Clipped += clipped
}

// Problem tells what is wrong with so many cells of feature j. It returns whether
// their rows are left out; else the rows are refused.
func (c *Census) Problem(j int, p *Problem, rows int) (drop bool) {
	if c.limits.drops(p) {
		c.quality.Columns[j].Invalid += rows
		return true
	}
	c.fails.merge(Failure{Column: c.schema.Features[j].Name, Problem: p.Error(), Count: rows, kind: fmt.Sprint(p.Kind, p.Rule)})
	return false
}

// Kept tells that so many of the rows that are kept have a value of feature j.
func (c *Census) Kept(j int, v Value, rows int) {
	q := &c.quality.Columns[j]
	if v.Missing || rows == 0 {
		return
	}
	q.kept += rows
	if !v.Level {
		return
	}
	if _, ok := parseNumber(v.Text); ok {
		q.numbers += rows
	} else if q.notNumber == "" || v.Text < q.notNumber {
		q.notNumber = v.Text
	}
	_, known := q.Levels[v.Text]
	if !known && len(q.Levels) == levelLimit(&c.schema.Features[j], c.limits) {
		q.tooManyLevels = true
		return
	}
	q.Levels[v.Text] += rows
}

// TooManyTexts tells that feature j has more different texts than those that Read was told of, most of them.
func (c *Census) TooManyTexts(j, most int) { c.beyond, c.most = append(c.beyond, j), most }

// Positive tells whether a text of the target is the positive value, and whether it is missing.
func (c *Census) Positive(raw string) (positive, missing bool) {
	text := trimmed(raw)
	_, missing = c.schema.missing[text]
	return c.schema.positive(text), missing
}

// KeptLabel tells that so many of the rows that are kept have a text as their target.
func (c *Census) KeptLabel(raw string, rows int) {
	text := trimmed(raw)
	switch _, missing := c.schema.missing[text]; {
	case rows == 0:
	case missing:
		c.fails.merge(Failure{Column: c.schema.Target.Name, Problem: "the target is missing", Count: rows, kind: "missing"})
	default:
		if i := c.labels.class(c.schema.canonical(text), 0); i >= 0 {
			c.labels.classes[i].count += rows
		}
	}
}

// Conclude judges what was told of so many rows, some of which were left out. The
// error is a *Refusal.
func (c *Census) Conclude(read, dropped int) (*Quality, error) {
	q := c.quality
	q.RowsRead, q.RowsDropped, q.RowsKept = read, dropped, read-dropped
	if read == 0 {
		c.fails.addColumn("", "there are no rows")
		return nil, c.fails.err()
	}
	q.Target.labelled(&c.labels)
	for _, j := range c.beyond {
		switch f := &c.schema.Features[j]; {
		case f.Type == Number:
			c.fails.addColumn(f.Name, "more than %d different texts that are no plain decimals, or need a rule of the schema that a database does not know: store it as a number", c.most)
		case !q.Columns[j].tooManyLevels: // else that says it
			c.fails.addColumn(f.Name, "more than %d different texts, too many to be cleaned one by one: leave it out with --ignore, or make a view that has fewer", c.most)
		}
	}
	for j := range q.Columns {
		c.judgeColumn(j, "")
	}
	c.judgeRows(true)
	if err := c.fails.err(); err != nil {
		return nil, err
	}
	return q, nil
}
