package csvdata

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"churn/internal/dataset"
	"churn/internal/strictjson"
)

// Inference says what Infer looks for.
type Inference struct {
	Target        dataset.Target
	Positive      bool     // Target.Positive was not given: a word for yes among the target's values is taken instead
	Ignore        []string // columns by name, or by place: #1 is the first
	MissingValues []string

	// Where the cells fit more than one notation.
	Decimal   string   // "." or ","
	Thousands string   // as in dataset.Notation
	Dates     []string // the order of dates' parts, and forms of columns, such as joined=excel
	AsOf      string   // date from which days are counted back; "" is the latest of each column

	// Limits are those that the rows are cleaned with next; nil for none. Their Time is among Ignore. Infer sets their
	// TimeForm to the form of its dates, unless it has one, and Several.
	Limits *dataset.Limits
}

// An inferrer is one run of Infer.
type inferrer struct {
	Inference
	source   Source
	order    string            // of dates' parts
	forms    map[string]string // of dates, by column
	header   []string
	position func(column string) int // in header
	kinds    []kind                  // by column
	notes    []string
}

func (o *inferrer) check() error {
	_, err := time.Parse(time.DateOnly, cmp.Or(o.AsOf, time.DateOnly))
	switch {
	case !slices.Contains([]string{"", ".", ","}, o.Decimal):
		return fmt.Errorf("--decimal %q: . or ,", o.Decimal)
	case !slices.Contains([]string{"", ".", ",", "'", " "}, o.Thousands):
		return fmt.Errorf("--thousands %q: one of . , ' and a space", o.Thousands)
	case o.Decimal != "" && o.Decimal == o.Thousands:
		return fmt.Errorf("--decimal %s --thousands %[1]s: two different marks", o.Decimal)
	case err != nil:
		return fmt.Errorf("--as-of %q: a date such as 2026-01-31", o.AsOf)
	}
	ofColumn := slices.Concat(dataset.DateForms[:], []string{dataset.Month, dataset.Weekday})
	for _, text := range o.Dates {
		switch at := strings.LastIndexByte(text, '='); {
		case at >= 0 && slices.Contains(ofColumn, text[at+1:]):
			o.forms[dataset.Trim(text[:at])] = text[at+1:]
		case slices.Contains(dataset.DateForms[:orders], text):
			o.order = text
		default:
			return fmt.Errorf("--dates %q: ymd, dmy or mdy; of one column such as joined=excel: "+
				"these, excel, epoch, epoch-ms, month or weekday", text)
		}
	}
	return nil
}

// Infer makes a schema for a CSV file. A column whose every non-empty cell reads
// as a number is a number, in the one notation that they have or as days for dates, any other
// a category; a column with missing cells is optional. The target and the ignored columns must
// exist. The notes say which notations were found.
//
// A file that is not CSV, or lacks a named column, gives a *dataset.ValidationError.
func Infer(ctx context.Context, source Source, o Inference) (s *dataset.Schema, notes []string, err error) {
	o.Ignore, o.Limits = slices.Clone(o.Ignore), cmp.Or(o.Limits, &dataset.Limits{})
	in := &inferrer{Inference: o, source: source, forms: map[string]string{}}
	if err := in.check(); err != nil {
		return nil, nil, err
	}
	if err := in.read(ctx); err != nil {
		return nil, nil, err
	}
	if in.Positive {
		if note := in.Target.TakeWord(slices.Values(in.kinds[in.position(in.Target.Name)].seen.texts)); note != "" {
			in.notes = append(in.notes, note)
		}
	}
	s = &dataset.Schema{Format: dataset.Format, Target: in.Target, Ignore: in.Ignore, MissingValues: in.MissingValues}
	if s.Features, err = in.features(); err != nil {
		return nil, nil, err
	}
	in.findTimeForm()
	s, err = s.With(nil, nil) // checked
	return s, in.notes, dataset.InFile(source.File, err)
}

// note adds a note on a column, if there is one.
func (o *inferrer) note(column, text string) {
	if text != "" {
		o.notes = append(o.notes, strictjson.Printable(column)+": "+text)
	}
}

// read finds what the cells of each column are.
func (o *inferrer) read(ctx context.Context) error {
	issues := dataset.Issues{File: o.source.File, Place: o.source.Place}
	marks := dataset.NewMarks(o.MissingValues)
	schema := &dataset.Schema{Format: dataset.Format, Target: o.Target, MissingValues: o.MissingValues}
	labels, _ := schema.With(nil, nil) // it lacks features
	third := !o.Positive && (o.Target.Negative != "" || o.Target.Blank)
	targetCell := -1
	return readRecords(ctx, o.source, &issues, func(header []string) {
		o.bind(header, &issues)
		targetCell = o.position(o.Target.Name)
	}, func(rs *records) {
		if third || o.Limits.DropOpen {
			l := labels.Label(string(rs.cells[targetCell]))
			if third && l.Third || l.Missing && o.Limits.DropOpen {
				return
			}
		}
		for i, cell := range rs.cells {
			o.kinds[i].add(cell, rs.line, &marks)
		}
	})
}

// bind takes the columns, and reports those that are named but missing.
func (o *inferrer) bind(header []string, issues *dataset.Issues) {
	o.header, o.position, o.kinds = header, positions(header), make([]kind, 0, len(header))
	for i, name := range header {
		o.kinds = append(o.kinds, newKind(o.forms[name], i < len(o.source.Typed) && o.source.Typed[i]))
	}
	o.Ignore, o.notes = byPlace(header, o.Ignore)
	want := func(what string, names ...string) {
		for _, name := range names {
			if o.position(name) < 0 {
				issues.Add(1, name, "absent", "the "+what+" is missing: "+listColumns(header, name, positions(nil)))
			}
		}
	}
	want("target column", o.Target.Name)
	want("column of --dates", slices.Sorted(maps.Keys(o.forms))...)
	want("column to ignore", o.Ignore...)
	addSecond(issues, header, positions(o.Ignore))
}

// features returns the features of all columns but the target and those that are ignored.
func (o *inferrer) features() (features []dataset.Feature, err error) {
	comma, ignored := o.decimalComma(), positions(o.Ignore)
	issues := dataset.Issues{File: o.source.File} // Clean reports those of rows
	features = make([]dataset.Feature, 0, len(o.header))
	for i, name := range o.header {
		if name == o.Target.Name || ignored(name) >= 0 {
			continue
		}
		k := &o.kinds[i]
		f, note, err := o.feature(name, k, comma)
		if err != nil {
			issues.AddColumn(name, "%v", err)
		}
		o.note(name, note)
		features = append(features, f)
	}
	if len(features) == 0 {
		issues.AddColumn("", "no column is left to predict from")
	}
	return features, issues.Err()
}

// findTimeForm sets Limits.TimeForm, and notes how its column's cells are read.
func (o *inferrer) findTimeForm() {
	at := o.position(o.Limits.Time)
	if at < 0 || o.Limits.TimeForm != "" {
		return
	}
	k := &o.kinds[at]
	hint := k.month()
	if k.dates != 0 && k.any {
		n, _ := o.dates(k)
		o.Limits.TimeForm = n.Date
		if hint = o.doubts(k, n.Date); hint != "" {
			form, _, _ := strings.Cut(n.String(), ":")
			hint = "read as " + form + hint
		}
	}
	o.note(o.Limits.Time, hint)
}

// byPlace replaces places such as #1 by the names of these columns, and adds those without a name.
func byPlace(header, ignore []string) (_, notes []string) {
	for i, name := range ignore {
		if at := Place(header, name); at >= 0 {
			ignore[i] = header[at]
		}
	}
	for i, name := range header {
		if name == placeName(i) && !slices.Contains(ignore, name) {
			ignore = append(ignore, name)
			notes = append(notes, fmt.Sprintf("column %d has no name: it is left out", i+1))
		}
	}
	return ignore, notes
}

// decimalComma reports whether cells that fit a decimal comma and a decimal point have a comma:
// as --decimal says, or --thousands leaves it, else as the other columns have it, else with semicolons
// between cells, as spreadsheets write them where the decimal mark is a comma.
func (o *inferrer) decimalComma() bool {
	switch {
	case o.Decimal != "":
		return o.Decimal == ","
	case o.Thousands == "." || o.Thousands == ",":
		return o.Thousands == "."
	}
	points, commas := 0, 0
	for i := range o.kinds {
		switch point, comma := o.kinds[i].decimals(); {
		case point && !comma && o.kinds[i].marked:
			points++
		case comma && !point:
			commas++
		}
	}
	return commas > points || commas == points && o.source.Comma == ';'
}

// feature returns the feature of a column, and what is said about it.
func (o *inferrer) feature(name string, k *kind, comma bool) (f dataset.Feature, note string, err error) {
	f = dataset.Feature{Name: name, Type: dataset.Category, Optional: k.missing}
	point, other := k.decimals()
	codes, part := k.codes(), o.forms[name]
	switch {
	case part == dataset.Month || part == dataset.Weekday:
		if k.early > 0 || k.dates == 0 {
			return f, "", fmt.Errorf("--dates %s=%s: its cells are no dates, or in several orders", strictjson.Word(name), part)
		}
		n, err := o.dates(k)
		f.Notation = dataset.Notation{Date: n.Date, Part: part}
		return f, "read as " + f.Notation.String(), err
	case k.early == 0 && !k.named && codes == "" && (k.forms != 0 && k.any || !k.text):
		f.Type, f.Optional = dataset.Number, k.missing || k.missingNumber
		f.Notation = k.notation(comma, o.Thousands)
		if f.Notation.Unit = k.unit; f.Notation != (dataset.Notation{}) {
			note = "read as " + f.Notation.String()
		}
		if point && other && k.marked {
			note = fmt.Sprintf("%q could have a decimal point or comma: read as %s; --decimal says otherwise",
				k.example, f.Notation.String())
			if o.Decimal != "" {
				note = "read as " + f.Notation.String() + ", as --decimal says"
			}
		}
		note = cmp.Or(k.month(), note)
		if form := k.likelyDates(name); form != "" {
			note = fmt.Sprintf("whole numbers that could be dates: --dates %s reads them so", strictjson.Word(name+"="+form))
		}
	case k.early == 0 && k.dates != 0:
		f.Type, f.Optional = dataset.Number, k.missing || k.missingNumber
		f.Notation, err = o.dates(k)
		note = "read as " + f.Notation.String() + o.doubts(k, f.Date)
		if k.clock {
			note += "; times of day are left out, and zones: the date is the one that is written"
		}
	case k.early == 0 && codes != "":
		note = codes + ": a category; if it is a number, say so in the schema"
	default:
		f.Map, note = dataset.Spellings(slices.Values(k.seen.texts))
		if text := k.foreign(); text != "" {
			note = fmt.Sprintf("a category, since cells such as %q have other digits than 0 to 9, or characters that are not "+
				"seen, such as marks of direction: write them plainly to use them as numbers or dates", dataset.Shorten(text))
		} else if note == "" {
			if note = k.several(o.source.Place); note != "" {
				o.Limits.Several = append(o.Limits.Several, name)
			}
		}
	}
	return f, note, err
}

// doubts says how dates, which are read in this form, could be meant otherwise.
func (o *inferrer) doubts(k *kind, form string) (note string) {
	if k.named || o.order != "" {
		return ""
	}
	if k.dates&(k.dates-1) != 0 {
		note = "; --dates mdy if the month is first"
	}
	if !k.long {
		date, _ := dataset.ParseDate(k.short, form)
		note += fmt.Sprintf("; %q is %s: where the year is first, write it with four digits",
			k.short, date.Format(time.DateOnly))
	}
	return note
}

// dates returns the notation of dates.
func (o *inferrer) dates(k *kind) (n dataset.Notation, err error) {
	far := false
	for i, form := range dataset.DateForms {
		if k.dates&(1<<i) == 0 || o.order != "" && form != o.order && !k.named {
			continue
		}
		if k.latest[i].IsZero() && (o.AsOf == "" || k.earliest[i].IsZero()) {
			far = !k.earliest[i].IsZero()
			continue
		}
		n = dataset.Notation{Date: form, AsOf: o.AsOf}
		if o.AsOf == "" {
			n.AsOf = k.latest[i].Format(time.DateOnly)
		} else if o.AsOf < k.earliest[i].Format(time.DateOnly) {
			err = fmt.Errorf("--as-of %s is before all dates, of which the first is %s",
				o.AsOf, k.earliest[i].Format(time.DateOnly))
		}
		return n, err
	}
	if far {
		return n, errors.New("all its dates are after the year 2200: leave it out with --ignore; name the day to count " +
			"back from with --as-of; or write the years of the common calendar, such as 2024 for 2567")
	}
	return n, fmt.Errorf("--dates %s: the column's dates are not written so", strings.Join(o.Dates, ","))
}

// LikelyTargets returns the columns of a file, and those that have two values in its first rows,
// those first whose names say that they are targets: these may have blanks, and a third value. If no row
// can be read the error is a *dataset.ValidationError.
func LikelyTargets(source Source) (header, targets []string, err error) {
	issues := dataset.Issues{File: source.File}
	in := newChunkReader(source)
	header, c, err := readHeader(in, &issues)
	if err != nil || header == nil {
		return nil, nil, cmp.Or(err, issues.Err())
	}
	var rs records
	rs.reset(c, len(header), &issues)
	const most = 3 // values
	seen := make([]map[string]bool, len(header))
	blank := make([]bool, len(header))
	for i := range seen {
		seen[i] = map[string]bool{}
	}
	const rows = 1000
	n := 0
	for ; n < rows && rs.next(); n++ {
		for i, cell := range rs.cells {
			text := strings.ToLower(dataset.Trim(string(cell)))
			if yes, word := dataset.YesNo(text); word {
				text = strconv.FormatBool(yes)
			}
			if text == "" {
				blank[i] = true
			} else if len(seen[i]) <= most {
				seen[i][text] = true
			}
		}
	}
	var groups [len(targetNames) + 1][]string
	for i, name := range header {
		k := slices.IndexFunc(targetNames[:], func(r *regexp.Regexp) bool { return r.MatchString(name) })
		switch n := len(seen[i]); {
		case k >= 0 && (n == most-1 || n == most):
			groups[k] = append(groups[k], name)
		case n == most-1 && !blank[i]:
			groups[len(targetNames)] = append(groups[len(targetNames)], name)
		}
	}
	if n == 0 {
		err = issues.Err()
	}
	return header, slices.Concat(groups[:]...), err
}

// targetNames say that a column is a target: first those that say little else.
var targetNames = [...]*regexp.Regexp{
	regexp.MustCompile(`(?i)churn|left|attrit|exited|cancel|resili|résili|quitt|d[ée]part($|[ _s])|kündig|abgang|` +
		`abgewander|baja|abandon|fuga|evas|disdett|terk|解約|流失|해지|이탈`),
	regexp.MustCompile(`(?i)target|label|outcome|status|renew|response`),
}
