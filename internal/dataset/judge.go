package dataset

import "fmt"

// judge applies the gates that need the whole file.
func (sc *scanner) judge() {
	g := gates{sc.schema, sc.limits, sc.quality, &sc.fails}
	if sc.quality.RowsRead == 0 {
		if len(sc.fails.list) == 0 {
			sc.fails.addColumn("", "the file has a header but no rows")
		}
		return
	}
	for i := range sc.quality.Columns {
		if sc.cell[i] >= 0 {
			where := ", all among those that were added"
			if lines := sc.missing[i]; len(lines) > 0 {
				where = ", " + listLines(lines, sc.quality.Columns[i].Missing)
			}
			g.judgeColumn(i, where)
		}
	}
	g.judgeRows(sc.target >= 0)
}

// gates judge what was counted of all rows.
type gates struct {
	schema  *Schema
	limits  Limits
	quality *Quality
	fails   *failures
}

// judgeRows judges what is left, and the target if it is there.
func (g *gates) judgeRows(target bool) {
	if g.quality.RowsDropped == g.quality.RowsRead {
		g.fails.addColumn("", "every row breaks the schema's rules, so none is left")
	} else if target {
		g.judgeTarget()
	}
}

// judgeColumn judges feature j. where tells which cells are missing, and is empty
// if rows have no lines.
func (g *gates) judgeColumn(j int, where string) {
	f, q, rows := &g.schema.Features[j], &g.quality.Columns[j], g.quality.RowsRead
	q.MissingShare = float64(q.Missing) / float64(rows)
	switch {
	case q.kept == 0 && g.quality.RowsDropped < rows && !g.limits.Known:
		g.fails.addColumn(f.Name, "every cell is missing: leave the column out with --ignore")
	case q.MissingShare > g.limits.MaxMissing:
		g.fails.addColumn(f.Name, "%.1f %% missing, at most %.3g %% (%d of %d rows%s)",
			100*q.MissingShare, 100*g.limits.MaxMissing, q.Missing, rows, where)
	}
	if f.Type != Category || g.limits.Known && !q.tooManyLevels {
		return
	}
	const (
		nearly  = 0.9 // share of different values above which a category names rows instead of kinds
		telling = 20  // rows below which that share says nothing
	)
	numbers := ""
	if 2*q.numbers > q.kept && q.notNumber != "" {
		numbers = fmt.Sprintf("; %d of its %d cells are numbers, but not %q: if that means missing, name it in --missing-values",
			q.numbers, q.kept, shorten(q.notNumber))
	}
	switch {
	case q.tooManyLevels:
		g.fails.addColumn(f.Name, "more than %d different values, as an identifier has: leave it out with --ignore, or raise its max_levels in the schema%s", levelLimit(f, g.limits), numbers)
	case q.kept >= telling && float64(len(q.Levels)) > nearly*float64(q.kept):
		g.fails.addColumn(f.Name, "%d different values in %d rows, as an identifier has: leave it out with --ignore%s", len(q.Levels), q.kept, numbers)
	}
}

func (g *gates) judgeTarget() {
	t := &g.quality.Target
	positive := g.schema.canonical(g.schema.Target.Positive)
	switch _, ok := t.Labels[positive]; {
	case len(t.Labels) > 2 || t.more:
		g.fails.addColumn(t.Name, "more than two values (%s): a target has two", t.list())
	case !ok && len(t.Labels) > 0:
		g.fails.addColumn(t.Name, "no row has the positive value %q, but %s: name one with --positive", g.schema.Target.Positive, t.list())
	case len(t.Labels) == 1:
		g.fails.addColumn(t.Name, "every row is %q: a target has two values", g.schema.Target.Positive)
	}
}
