package csvdata

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"churn/internal/dataset"
)

// kind is what the cells of a column are.
type kind struct {
	typed         bool // the cells have types
	text, missing bool // a cell is no plain number, or is missing
	missingNumber bool // like -999.0 where -999 means missing; in a column of texts it does not
	any           bool // there is a cell that is not missing
	numberForms
	dateForms
	digits

	seen   dictionary // cells
	lines  []int      // of its texts
	cells  int        // not empty
	varied bool       // nearly all cells differ

	fit     int    // different cells that fitted before odd, or after it
	odd     string // the first cell after which no notation was left
	oddLine int
	early   int // odd is the first of so many cells before all others, which are read as if these were not there
}

// newKind returns that of no cells, with a form of dates if one is named. Columns with types have plain
// numbers, and dates with the year first.
func newKind(form string, typed bool) kind {
	k := kind{typed: typed}
	switch i := slices.Index(dataset.DateForms[:], form); {
	case i >= 0:
		k.dates, k.named = 1<<i, true
	case typed:
		k.forms, k.dates = 1, 1
	default:
		k.forms, k.dates = 1<<len(dataset.Notations)-1, 1<<orders-1
	}
	return k
}

func (k *kind) add(cell []byte, line int, marks *dataset.Marks) {
	switch {
	case len(cell) == 0 && k.missing:
		return
	case k.varied && k.fits(cell):
		k.fit++
		return
	}
	if k.cells++; k.cells == tryRows {
		k.varied = varied(len(k.seen.texts), tryRows) && len(marks.Numbers()) == 0
	}
	if k.text && k.missing && k.forms|k.dates == 0 || k.seen.find(cell) >= 0 {
		return
	}
	if k.seen.add(cell) >= 0 {
		k.lines = append(k.lines, line)
	}
	text := dataset.Trim(string(cell))
	x, plain := dataset.ParseNumber(text)
	fitted := k.text && k.forms|k.dates != 0 // among plain numbers the audit names the odd text
	switch {
	case marks.Text(text):
		k.missing = true
		return
	case !plain:
		k.text = true
	case marks.Number(x):
		k.missingNumber = true
		return
	}
	k.digits.add(text, x, !k.any)
	if k.forms != 0 {
		k.numberForms.add(text, plain, !k.any)
	}
	if plain && !k.named {
		k.dates = 0
	} else if k.dates != 0 {
		k.dateForms.add(text)
	}
	const mostEarly = 2 // - and n/a
	first := !k.any && k.early < mostEarly
	switch k.any = true; {
	case k.forms|k.dates != 0 && k.early > 0 && plain: // which the audit tells from texts
	case k.forms|k.dates != 0:
		k.fit++
	case first && !k.named:
		again := newKind("", k.typed)
		k.numberForms, k.dateForms, k.any = again.numberForms, again.dateForms, false
		if k.early++; k.early == 1 {
			k.odd, k.oddLine = text, line
		}
	case fitted:
		k.odd, k.oddLine, k.early = text, line, 0
	}
}

// fits reports whether a cell is a plain number like all before it, which had a decimal point: it
// changes nothing.
func (k *kind) fits(cell []byte) bool {
	const most = 300 // bytes: the number is finite
	if k.text || k.forms&^pointForms != 0 || k.dates != 0 || len(cell) > most {
		return false
	}
	digits, points := 0, 0
	for i, c := range cell {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		case c != '-' || i > 0:
			return false
		}
	}
	return digits > 0 && points <= 1
}

// codes says why cells that read as numbers are codes, "" if they are not: digits behind a zero, as post
// codes have, or single ones before a letter, such as 4G.
func (k *kind) codes() string {
	switch letter := len(k.unit) == 1 && unicode.IsLetter(rune(k.unit[0])); {
	case !k.text && !k.marked && k.zeros != "" && (len(k.zeros) > 2 || k.width > 0):
		return fmt.Sprintf("%q begins with a zero, as codes do", k.zeros)
	case letter && k.forms != 0 && k.width == 2:
		return fmt.Sprintf("%q is taken for a name, not a number with a unit", k.example)
	}
	return ""
}

// month says that all cells are as 03.2022, which is read as a number; "" if they are not.
func (k *kind) month() string {
	if k.noMonth || !k.any {
		return ""
	}
	return fmt.Sprintf("%q is read as a number: if it is a month, write it as a date, such as 2022-03-01", k.example)
}

// decimals reports whether the cells fit notations with a decimal point, and with a comma.
func (k *kind) decimals() (point, comma bool) {
	return k.any && k.forms&pointForms != 0, k.any && k.forms&^pointForms != 0
}

// foreign returns a cell with other digits than 0 to 9, or invisible characters, of a column that would be numbers or
// dates without them; "" of any other column.
func (k *kind) foreign() (example string) {
	marks, usual := dataset.NewMarks(nil), newKind("", false)
	for i, text := range k.seen.texts {
		plain := dataset.Plain(text)
		if plain != text && example == "" {
			example = text
		}
		usual.add(append(make([]byte, 0, len(plain)+padding), plain...), i, &marks)
		if usual.early > 0 || usual.text && usual.forms|usual.dates == 0 {
			return ""
		}
	}
	return example
}

// several says which cells of a column that is no number are written otherwise than the others, which are numbers
// or dates; "" without such cells.
func (k *kind) several(place func(line int) (string, int)) string {
	const least = 3 // different cells
	cell := func(text string, line int) string {
		if place != nil {
			_, line = place(line)
		}
		return fmt.Sprintf("%q in line %d", dataset.Shorten(text), line)
	}
	at, n := k.unlike()
	var cells []string
	for _, i := range at {
		cells = append(cells, cell(k.seen.texts[i], k.lines[i]))
	}
	if at == nil && k.fit >= least && k.odd != "" {
		cells, n = []string{cell(k.odd, k.oddLine)}, k.fit
	}
	switch {
	case n > 0 && len(cells) == 1:
		return fmt.Sprintf("a category, since %s is not written as %d other cells are: correct it or, if it means missing, "+
			"name it in --missing-values", cells[0], n)
	case n > 0:
		return fmt.Sprintf("a category, since %s are not written as %d other cells are: correct them or, if they mean "+
			"missing, name them in --missing-values", strings.Join(cells, ", "), n)
	case len(cells) > 1:
		return fmt.Sprintf("a category, since its cells are numbers or dates in several notations, such as %s and %s: "+
			"write all in one to use them as numbers", cells[0], cells[1])
	}
	return ""
}

// unlike finds why a column is no number, though nearly all its cells are numbers or dates on their own. It returns
// the places of two texts in different notations, each of which several have, or of the first that are not written as
// n others; of plain numbers the audit names one.
func (k *kind) unlike() (at []int, n int) {
	const least, nearly, named = 2, 0.9, 3
	marks := dataset.NewMarks(nil)
	var first kind
	var like, others, odd []int // the first among the texts, numbers in another notation, and all that differ
	cells, plain := 0, 0
	for i, text := range k.seen.texts {
		alone := newKind("", false)
		if alone.add([]byte(text), 0, &marks); alone.missing {
			continue
		}
		number := alone.early == 0
		if cells++; number && !alone.text {
			plain++
		}
		if number && len(like) == 0 {
			first = alone
		}
		switch {
		case number && (first.dates&alone.dates != 0 || first.forms&alone.forms != 0 && first.unit == alone.unit):
			like = append(like, i)
			continue
		case number:
			others = append(others, i)
		}
		odd = append(odd, i)
	}
	enough := func(n int) bool { return n > least && float64(n) >= nearly*float64(cells) }
	switch {
	case min(len(like), len(others)) >= least && enough(len(like)+len(others)):
		return []int{like[0], others[0]}, 0
	case 2*plain > cells:
	case enough(len(like)) && len(odd) > 0:
		return odd[:min(len(odd), named)], len(like)
	case len(like) == 1 && enough(len(others)):
		return like, len(others)
	}
	return nil, 0
}
