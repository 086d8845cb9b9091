package sqlterms

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"churn/internal/dataset"
	"churn/internal/model"

	"golang.org/x/text/unicode/norm"
)

const (
	mostReasons = 3      // as in the lists of package scoring
	leastReason = 0.005  // +0.00 is no reason
	unseen      = "\x00" // a level that no cell has: it stands for those the model does not know
)

// whiteSpace is what [dataset.Trim] removes.
const whiteSpace = `U&'\0009\000a\000b\000c\000d\0020\0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006` +
	`\2007\2008\2009\200a\2028\2029\202f\205f\3000'`

// plainNumber is a number of a magnitude that every engine reads, with at most 200 decimals: more end the query.
// The second half is one below 1e-99, or 1e100; what rounds to 0 ends the query.
const plainNumber = `^[-+]?(([0-9]{1,200}(\.[0-9]{0,200})?|\.[0-9]{1,200})([eE][-+]?[0-9]{1,2})?|` +
	`[0-9](\.[0-9]{0,20})?[eE](\+?100|-[12][0-9]{2})|[1-9](\.[0-9]{0,20})?[eE]-3([01][0-9]|2[0-3]))$`

// longDecimals cuts off decimals after the 200th.
const longDecimals = `'(\.[0-9]{200})[0-9]+', '\1'`

// A selection is what a SELECT is made of.
type selection struct {
	*Dialect
	m      *model.Model
	levels *dataset.Table // with the levels that the model knows, and unseen
	bad    []string       // conditions of rows that cannot be scored

	texts, numbers, cells []string // the first three stages
}

// Select returns a SELECT of all columns of a table and what a model says of each row:
//
//	probability  of the target; NULL for a row that the service would reject
//	prediction   1 from the model's threshold on, else 0
//	reason_1 …   what raises the log-odds most above the average customer's, with by how much, or NULL
//
// Where the schema has one of these names, _2 is added to it.
//
// Cells are cleaned as serve --score cleans those of a file, whatever the types of the columns. It is an
// error if SQL cannot read a column as the model's schema says. It is for PostgreSQL: Trino inlines
// the stages, which takes its planner minutes.
func Select(m *model.Model, table string) (string, error) {
	s := &selection{Dialect: Postgres, m: m, levels: dataset.NewTable(m.Schema)}
	for j := range m.Schema.Features {
		if err := s.add(j); err != nil {
			return "", err
		}
	}
	w, means := m.ScoreWeights()
	e := s.Encode(m.Encoder.Design(s.levels), [][]float64{w}, 0, false)
	places, values := e.Stages()
	contributions, names := s.contributions(e, means)
	bad := strings.Join(append(s.bad, "FALSE"), " OR ") + " AS bad"
	stages := [][]string{s.texts, s.numbers, append(s.cells, bad), places, values,
		append(contributions, e.Z()+" AS z0"),
		{s.Exp(0)}}
	for n := range mostReasons {
		stages = append(stages, s.largest(n, len(names)))
	}
	query, from := "", ""
	for i, stage := range stages {
		columns := slices.Clone(stage)
		if i > 0 {
			columns, from = append([]string{"a.*"}, columns...), fmt.Sprintf(" FROM (%s) a", query)
		}
		query = "SELECT " + strings.Join(s.Fenced(columns, fmt.Sprintf("f%d", i)), ", ") + from
	}
	p := Probability(0)
	results := []string{
		fmt.Sprintf("CASE WHEN NOT bad THEN %s END AS probability", p),
		fmt.Sprintf("CASE WHEN NOT bad THEN CASE WHEN %s >= %s THEN 1 ELSE 0 END END AS prediction",
			p, s.Number(m.Threshold)),
	}
	for n := range mostReasons {
		results = append(results, s.reason(n, names))
	}
	parts := strings.Split(table, ".")
	for i, part := range parts {
		parts[i] = QuoteName(part)
	}
	return fmt.Sprintf("SELECT t.*, %s\nFROM %s t\nCROSS JOIN LATERAL (SELECT %s FROM (%s) a) s",
		strings.Join(outputs(m.Schema), ", "), strings.Join(parts, "."), strings.Join(results, ", "), query), nil
}

// add adds feature j to the first three stages.
func (s *selection) add(j int) error {
	f := &s.m.Schema.Features[j]
	raw := fmt.Sprintf("trim(BOTH %s FROM %s)", whiteSpace, s.AsText("t."+QuoteName(f.Name)))
	if f.Part != "" {
		return fmt.Errorf("%s is the %s of a date, which SQL does not read: make a view that has it, and train on that",
			f.Name, f.Part)
	}
	if f.Type == dataset.Category {
		known := s.m.Encoder.Levels[f.Name]
		spellings := append(slices.Collect(maps.Keys(f.Map)), known...)
		if !norm.NFD.IsNormalString(strings.Join(spellings, " ")) { // Unicode alone has them composed in other ways
			raw = fmt.Sprintf("CASE getdatabaseencoding() WHEN 'UTF8' THEN normalize(%s) ELSE %[1]s END", raw)
		}
		s.levels.Columns[j].Levels = append(slices.DeleteFunc(slices.Clone(known),
			func(level string) bool { return level == dataset.MissingLevel }), unseen)
		s.texts = append(s.texts, raw+fmt.Sprintf(" AS r%d", j))
		s.numbers = append(s.numbers, s.code(j, s.levels.Columns[j].Levels))
		return nil
	}
	switch n := f.Notation; {
	case n == dataset.Notation{Decimal: ","}:
		// In a text 1.024 may be a thousand, so it is no number; a cell of a number has no comma.
		raw = fmt.Sprintf("CASE WHEN %[1]s IN (%[2]s) OR jsonb_typeof(to_jsonb(t.%[3]s)) = 'number' THEN %[1]s "+
			"WHEN %[1]s ~ '[.]|,([^0-9]|$)' THEN %[1]s || '?' ELSE replace(%[1]s, ',', '.') END",
			raw, s.marks(), QuoteName(f.Name))
	case n != dataset.Notation{}:
		return fmt.Errorf("%s is written with %s, which SQL does not read: make a view with plain numbers, "+
			"and train on that", f.Name, n.String())
	}
	if _, ok := f.Bounds(); !ok {
		return fmt.Errorf("%s: the rule %q is not of bounds, which are all that SQL knows: prepare it without, "+
			"and train again", f.Name, f.Validate)
	}
	s.texts = append(s.texts, fmt.Sprintf(
		"CASE WHEN length(%s) > 200 THEN regexp_replace(%[1]s, %[2]s) ELSE %[1]s END AS r%[3]d", raw, longDecimals, j))
	s.numbers, s.cells = append(s.numbers, s.number(j)), append(s.cells, s.valid(j))
	return nil
}

// outputs returns what the SELECT adds to the table's columns, with names that the schema does not have.
func outputs(s *dataset.Schema) (columns []string) {
	taken := append(slices.Clone(s.Ignore), s.Target.Name)
	for _, f := range s.Features {
		taken = append(taken, f.Name)
	}
	for _, name := range []string{"probability", "prediction", "reason_1", "reason_2", "reason_3"} {
		free := name
		for n := 2; slices.Contains(taken, free); n++ {
			free = fmt.Sprintf("%s_%d", name, n)
		}
		columns = append(columns, fmt.Sprintf("s.%s AS %s", name, free))
	}
	return columns
}

// missing returns the condition of a text that means missing.
func (s *selection) missing(j int) string {
	return fmt.Sprintf("r%d IS NULL OR r%[1]d IN (%s)", j, s.marks())
}

func (s *selection) marks() string {
	return strings.Join(Texts(slices.Values(append([]string{""}, s.m.Schema.MissingValues...)), QuoteText), ", ")
}

// code returns the column of feature j's level: its place among levels, the last of which is for all that the model
// does not know, or their number if it is missing, and more if it is no level. It adds to bad.
func (s *selection) code(j int, levels []string) string {
	f := &s.m.Schema.Features[j]
	known := append(slices.Clone(levels), dataset.MissingLevel) // which no cell may be
	for from := range f.Map {
		known = append(known, from)
	}
	for _, mark := range s.m.Schema.MissingValues {
		known = append(known, mark, strings.ToLower(mark), strings.ToUpper(mark))
	}
	slices.Sort(known)
	var cases strings.Builder
	for _, text := range slices.Compact(known) {
		v, problem := f.CheckText(text)
		code := slices.IndexFunc(levels, func(level string) bool { return dataset.Same(level, v.Text) })
		if v.Missing {
			code = len(levels)
		}
		if problem != nil && problem.Kind == dataset.Reserved {
			code, problem = len(levels)+1, nil
		}
		if text != unseen && problem == nil && code >= 0 {
			fmt.Fprintf(&cases, " WHEN %s THEN %d", QuoteText(norm.NFC.String(text)), code)
		}
	}
	name := fmt.Sprintf("c%d", j)
	s.bad = append(s.bad, fmt.Sprintf("%s > %d", name, len(levels)))
	if !f.Optional {
		s.bad = append(s.bad, fmt.Sprintf("%s = %d", name, len(levels)))
	}
	if f.Validate != "" { // it may not hold for a level that the model does not know
		s.bad = append(s.bad, fmt.Sprintf("%s = %d", name, len(levels)-1))
	}
	return fmt.Sprintf("CASE WHEN %s THEN %d WHEN octet_length(r%d) > %d THEN %d ELSE CASE %s%s ELSE %d END END AS %s",
		s.missing(j), len(levels), j, dataset.MaxText, len(levels)+1, s.recased(j, known), &cases, len(levels)-1, name)
}

// recased returns the text of feature j in its case, as far as letters of known texts are concerned: functions of
// engines depend on the collation.
func (s *selection) recased(j int, known []string) string {
	to := map[string]func(rune) rune{"lower": unicode.ToLower, "upper": unicode.ToUpper}[s.m.Schema.Features[j].Case]
	if to == nil {
		return fmt.Sprintf("r%d", j)
	}
	letters := strings.Join(known, "")
	var from, into []rune
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if c := to(r); c != r && strings.ContainsRune(letters, c) {
			from, into = append(from, r), append(into, c)
		}
	}
	return fmt.Sprintf("translate(r%d, %s, %s)", j, QuoteText(string(from)), QuoteText(string(into)))
}

// number returns the column of feature j's number: NULL if it is missing, NaN if the text is none.
func (s *selection) number(j int) string {
	f, x := &s.m.Schema.Features[j], s.AsDouble(fmt.Sprintf("r%d", j))
	for _, mark := range f.MissingNumbers() {
		x = fmt.Sprintf("NULLIF(%s, %s)", x, s.Number(mark))
	}
	return fmt.Sprintf("CASE WHEN %s THEN NULL WHEN %s THEN %s ELSE %s END AS v%d",
		s.missing(j), fmt.Sprintf("r%d ~ %s", j, QuoteText(plainNumber)), x, s.Number(math.NaN()), j)
}

// valid returns the column of feature j's number, if it is valid, and adds to bad. Nothing is clipped.
func (s *selection) valid(j int) string {
	f, x := &s.m.Schema.Features[j], fmt.Sprintf("v%d", j)
	conditions := []string{fmt.Sprintf("abs(%s) <= %s", x, s.Number(dataset.MaxNumber))}
	if f.Integer {
		conditions = append(conditions, fmt.Sprintf("floor(%s) = %[1]s", x))
	}
	bounds, _ := f.Bounds()
	for _, b := range bounds {
		conditions = append(conditions, fmt.Sprintf("%s %s %s", x, Comparisons[b.Tag], s.Number(b.Limit)))
	}
	valid := strings.Join(conditions, " AND ")
	s.bad = append(s.bad, fmt.Sprintf("%s IS NOT NULL AND NOT (%s)", x, valid))
	if !f.Optional {
		s.bad = append(s.bad, x+" IS NULL")
	}
	return fmt.Sprintf("CASE WHEN %s THEN %s END AS x%d", valid, x, j)
}

// Comparisons are the operators of [dataset.Bound].
var Comparisons = map[string]string{"gte": ">=", "min": ">=", "lte": "<=", "max": "<=", "gt": ">", "lt": "<"}

// contributions returns the columns k0, k1, … of what each feature and pair adds to the log-odds of the average
// customer: see [model.Model.Explain].
func (s *selection) contributions(e *Encoded, means []float64) (columns, names []string) {
	design, names := s.m.Encoder.Design(dataset.NewTable(s.m.Schema)), s.m.Contributors()
	sums := make([][]string, len(names))
	pair := len(s.m.Schema.Features)
	for _, t := range design.Terms {
		k := design.Bases[t.A].Feature
		if t.B >= 0 {
			k = pair
			for side, b := range []int{t.A, t.B} {
				share := Combine(e.sum(e.bases[b], [][]float64{s.m.Effects[pair].Margins[side]}), " + ")
				sums[k] = append(sums[k], "-("+share+")")
				sums[design.Bases[b].Feature] = append(sums[design.Bases[b].Feature], share)
			}
			pair++
		}
		if sums[k] = append(sums[k], e.term(t)); means[k] != 0 {
			sums[k] = append(sums[k], s.Number(-means[k]))
		}
	}
	for k, sum := range sums {
		columns = append(columns, fmt.Sprintf("%s AS k%d", Combine(sum, " + "), k))
	}
	return columns, names
}

// largest returns the columns of the n-th largest contribution, n from 0 on, and of whose it is.
func (s *selection) largest(n, contributors int) []string {
	var rest, cases []string
	for k := range contributors {
		rest = append(rest, s.except(n, k))
		cases = append(cases, fmt.Sprintf("WHEN %s THEN %d", s.except(n, k), k))
	}
	most := rest[0]
	if len(rest) > 1 {
		most = "GREATEST(" + strings.Join(rest, ", ") + ")"
	}
	return []string{
		fmt.Sprintf("%s AS m%d", most, n), fmt.Sprintf("CASE %s %s END AS i%d", most, strings.Join(cases, " "), n),
	}
}

// except returns contribution k, or 0 if it is one of the n largest.
func (s *selection) except(n, k int) string {
	x := fmt.Sprintf("k%d", k)
	for before := range n {
		x = fmt.Sprintf("CASE WHEN i%d = %d THEN 0 ELSE %s END", before, k, x)
	}
	return x
}

// reason returns the column of the n-th reason in words.
func (s *selection) reason(n int, names []string) string {
	var cases []string
	for k, name := range names {
		cell := "''"
		if k < len(s.m.Schema.Features) {
			cell = fmt.Sprintf("' ' || COALESCE(NULLIF(r%d, ''), 'missing')", k)
		}
		cases = append(cases, fmt.Sprintf("WHEN %d THEN %s || %s", k, QuoteText(name), cell))
	}
	sum := s.AsText(fmt.Sprintf("CAST(m%d AS decimal(311, 2))", n)) // holds any double
	return fmt.Sprintf("CASE WHEN NOT bad AND m%d >= %s THEN CASE i%d %s END || ': +' || %s END AS reason_%d",
		n, s.Number(leastReason), n, strings.Join(cases, " "), sum, n+1)
}
