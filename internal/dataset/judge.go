package dataset

import "fmt"

// judge applies the gates that need the whole file.
func (sc *scanner) judge() {
	q := sc.quality
	if q.RowsRead == 0 {
		if len(sc.fails.list) == 0 {
			sc.fails.addColumn("", "the file has a header but no rows")
		}
		return
	}
	for i := range q.Columns {
		if sc.cell[i] >= 0 {
			sc.judgeColumn(&sc.schema.Features[i], &q.Columns[i], sc.missing[i])
		}
	}
	if q.RowsDropped == q.RowsRead {
		sc.fails.addColumn("", "every row breaks the schema's rules, so none is left")
	} else if sc.target >= 0 {
		sc.judgeTarget()
	}
}

func (sc *scanner) judgeColumn(f *Feature, q *ColumnQuality, missingLines []int) {
	rows := sc.quality.RowsRead
	q.MissingShare = float64(q.Missing) / float64(rows)
	switch {
	case q.kept == 0 && sc.quality.RowsDropped < rows && !sc.limits.Known:
		sc.fails.addColumn(f.Name, "every cell is missing: leave the column out with --ignore")
	case q.MissingShare > sc.limits.MaxMissing:
		where := "all among those that were added"
		if len(missingLines) > 0 {
			where = listLines(missingLines, q.Missing)
		}
		sc.fails.addColumn(f.Name, "%.1f %% missing, at most %.3g %% (%d of %d rows, %s)",
			100*q.MissingShare, 100*sc.limits.MaxMissing, q.Missing, rows, where)
	}
	if f.Type != Category || sc.limits.Known && !q.tooManyLevels {
		return
	}
	const (
		nearly  = 0.9 // share of different values above which a category names rows instead of kinds
		telling = 20  // rows below which that share says nothing
	)
	numbers := ""
	if 2*q.numbers > q.kept {
		numbers = fmt.Sprintf("; %d of its %d cells are numbers, but not %q: if that means missing, name it in --missing-values",
			q.numbers, q.kept, shorten(q.notNumber))
	}
	switch {
	case q.tooManyLevels:
		sc.fails.addColumn(f.Name, "more than %d different values, as an identifier has: leave it out with --ignore, or raise its max_levels in the schema%s", sc.levelLimit(f), numbers)
	case q.kept >= telling && float64(len(q.Levels)) > nearly*float64(q.kept):
		sc.fails.addColumn(f.Name, "%d different values in %d rows, as an identifier has: leave it out with --ignore%s", len(q.Levels), q.kept, numbers)
	}
}

func (sc *scanner) judgeTarget() {
	t := &sc.quality.Target
	positive := sc.schema.canonical(sc.schema.Target.Positive)
	switch _, ok := t.Labels[positive]; {
	case len(t.Labels) > 2 || t.more:
		sc.fails.addColumn(t.Name, "more than two values (%s): a target has two", t.list())
	case !ok && len(t.Labels) > 0:
		sc.fails.addColumn(t.Name, "no row has the positive value %q, but %s: name one with --positive", sc.schema.Target.Positive, t.list())
	case len(t.Labels) == 1:
		sc.fails.addColumn(t.Name, "every row is %q: a target has two values", sc.schema.Target.Positive)
	}
}
