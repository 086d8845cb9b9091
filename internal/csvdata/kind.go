package csvdata

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"churn/internal/dataset"
)

// orders are the first of dataset.DateForms: those that are found; the others must be named.
const orders = 3

// kind is what the cells of a column are.
type kind struct {
	text, missing bool       // a cell is no plain number, or is missing
	missingNumber bool       // like -999.0 where -999 means missing; in a column of texts it does not
	seen          dictionary // cells
	cells         int        // not empty
	varied        bool       // nearly all cells differ

	any              bool   // there is a cell that is not missing
	forms            uint   // bit i: every cell fits dataset.Notations[i]
	unit             string // of every cell
	marked           bool   // a cell has a point or a comma
	example          string // such a cell; if there is none, the first
	dates            uint   // bit i: every cell is a date in dataset.DateForms[i]
	earliest, latest [len(dataset.DateForms)]time.Time
	clock            bool    // there are times of day
	short            string  // a date, if all could begin with a year of two digits
	long             bool    // one could not
	typed            bool    // the cells have types
	named            bool    // the user says which dates they are, so that bit is set whatever the cells are
	low, high        float64 // of plain numbers
	fraction         bool    // one is not whole
	noMonth          bool    // a cell is not as 03.2022, which is a month more often than a number
	zeros            string  // a cell of digits alone that begins with a zero
	width            int     // of all cells; -1 if they differ

	fit     int    // different cells that fitted before odd, or after it
	odd     string // the first cell after which no notation was left
	oddLine int
	early   int // odd is the first of so many cells before all others, which are read as if these were not there
}

// newKind returns that of no cells, with a form of dates if one is named. Columns with types have plain
// numbers, and dates with the year first.
func newKind(form string, typed bool) kind {
	if i := slices.Index(dataset.DateForms[:], form); i >= 0 {
		return kind{dates: 1 << i, named: true}
	} else if typed {
		return kind{forms: 1, dates: 1, typed: true}
	}
	return kind{forms: 1<<len(dataset.Notations) - 1, dates: 1<<orders - 1}
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
	k.seen.add(cell)
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
	k.addDigits(text, x)
	if k.forms != 0 {
		k.addNumber(text, plain)
	}
	if plain && !k.named {
		k.dates = 0
	} else if k.dates != 0 {
		k.addDate(text)
	}
	const mostEarly = 2 // - and n/a
	first := !k.any && k.early < mostEarly
	switch k.any = true; {
	case k.forms|k.dates != 0 && k.early > 0 && plain: // which the audit tells from texts
	case k.forms|k.dates != 0:
		k.fit++
	case first && !k.named:
		again := newKind("", k.typed)
		k.forms, k.dates, k.any, k.marked = again.forms, again.dates, false, false
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

// addDigits keeps what tells codes and dates from other numbers.
func (k *kind) addDigits(text string, x float64) {
	if !k.any {
		k.low, k.high, k.width = x, x, len(text)
	}
	k.low, k.high, k.fraction = min(k.low, x), max(k.high, x), k.fraction || x != math.Trunc(x)
	if len(text) != k.width {
		k.width = -1
	}
	if !k.noMonth {
		const first, last = 1900, 2100 // years
		month, ok := dataset.ParseDate("1."+text, dataset.DayFirst)
		k.noMonth = !ok || month.Year() < first || month.Year() > last
	}
	if k.zeros == "" && len(text) > 1 && text[0] == '0' && strings.Trim(text, "0123456789") == "" {
		k.zeros = text
	}
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

// likelyDates returns the form of dates that whole numbers may be by their range and their column's name.
func (k *kind) likelyDates(name string) string {
	const least = 10_000 // days since 1900, of 1927
	if k.text || k.fraction || !k.any || k.low < least || !datelike.MatchString(name) {
		return ""
	}
	for _, form := range append(dataset.DateForms[orders:], dataset.YearFirst) {
		from, ok := dataset.ParseDate(dataset.FormatNumber(k.low), form)
		to, too := dataset.ParseDate(dataset.FormatNumber(k.high), form)
		if ok && too && from.Year() >= 1980 && to.Year() < 2050 {
			return form
		}
	}
	return ""
}

var datelike = regexp.MustCompile(`(?i:date|time|datum|zeit|jour|day|_at$|_on$)|[a-z](At|On)$`)

// addNumber keeps the notations that a cell fits.
func (k *kind) addNumber(text string, plain bool) {
	number, unit := text, ""
	if !plain {
		number, unit = dataset.CutUnit(text)
	}
	if !k.any {
		k.unit, k.example = unit, text
	}
	if unit != k.unit {
		k.forms = 0
		return
	}
	if at := strings.IndexAny(number, ".,"); at >= 0 {
		if !k.marked {
			k.marked, k.example = true, text
		}
		if number[at] == '.' && strings.LastIndexAny(number, ".,") == at && len(number)-at != 4 && plain {
			k.forms &= pointForms // only a group of three digits could be one of thousands
			return
		}
	} else if plain && strings.Trim(number, "0123456789-") == "" {
		return // fits all
	}
	for i := range dataset.Notations {
		if bit := uint(1) << i; k.forms&bit != 0 {
			if _, ok := dataset.Notations[i].Parse(number); !ok {
				k.forms &^= bit
			}
		}
	}
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

// mixed returns two cells in different notations, each of which several have, where nearly all cells of a
// column that is no number are numbers or dates on their own.
func (k *kind) mixed() (one, other string) {
	const least, nearly = 2, 0.9
	marks := dataset.NewMarks(nil)
	var first kind
	likeFirst, others, cells := 0, 0, 0
	for _, text := range k.seen.texts {
		alone := newKind("", false)
		if alone.add([]byte(text), 0, &marks); alone.missing {
			continue
		}
		switch cells++; {
		case alone.early > 0:
			continue
		case one == "":
			one, first = text, alone
			likeFirst++
		case first.dates&alone.dates != 0 || first.forms&alone.forms != 0 && first.unit == alone.unit:
			likeFirst++
		default:
			other = cmp.Or(other, text)
			others++
		}
	}
	if min(likeFirst, others) < least || float64(likeFirst+others) < nearly*float64(cells) {
		return "", ""
	}
	return one, other
}

// pointForms are the notations with a decimal point.
var pointForms = func() (bits uint) {
	for i := range dataset.Notations {
		if dataset.Notations[i].Decimal == "" {
			bits |= 1 << i
		}
	}
	return bits
}()

func (k *kind) addDate(text string) {
	k.clock = k.clock || strings.Contains(text, ":")
	if !k.long {
		_, could := dataset.ParseDate("20"+text, dataset.YearFirst)
		named := strings.ContainsFunc(text[:min(len(text), len("24-03-15"))], unicode.IsLetter) // 10-Jan-24 has one order
		k.short, k.long = cmp.Or(k.short, text), named || !could
	}
	for i, form := range dataset.DateForms {
		if k.dates&(1<<i) == 0 {
			continue
		}
		date, ok := dataset.ParseDate(text, form)
		if !ok && !k.named {
			k.dates &^= 1 << i
		}
		if !ok {
			continue
		}
		if k.earliest[i].IsZero() || date.Before(k.earliest[i]) {
			k.earliest[i] = date
		}
		const never = 2200 // or later: as in 9999-12-31, which no day is counted back from
		if date.After(k.latest[i]) && date.Year() < never {
			k.latest[i] = date
		}
	}
}

// decimals reports whether the cells fit notations with a decimal point, and with a comma.
func (k *kind) decimals() (point, comma bool) {
	return k.any && k.forms&pointForms != 0, k.any && k.forms&^pointForms != 0
}

// notation returns the simplest notation of those that fit, with a comma or a point if both do.
func (k *kind) notation(comma bool, thousands string) dataset.Notation {
	if !k.marked || k.forms == 0 {
		comma = false
	}
	best, found := dataset.Notation{}, false
	for i, n := range dataset.Notations {
		if k.forms&(1<<i) == 0 {
			continue
		}
		better := !found || (n.Decimal == ",") == comma && (best.Decimal == ",") != comma ||
			n.Decimal == best.Decimal && thousands != "" && n.Thousands == thousands
		if better {
			best, found = n, true
		}
	}
	return best
}
