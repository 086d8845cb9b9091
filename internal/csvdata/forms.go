package csvdata

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"churn/internal/dataset"
)

// numberForms are the notations that the cells of a column fit.
type numberForms struct {
	forms   uint   // bit i: every cell fits dataset.Notations[i]
	unit    string // of every cell
	marked  bool   // a cell has a point or a comma
	example string // such a cell; if there is none, the first
}

// pointForms are the notations with a decimal point, which come first.
var pointForms = uint(1)<<slices.IndexFunc(dataset.Notations, func(n dataset.Notation) bool {
	return n.Decimal != ""
}) - 1

// add keeps the notations that a cell fits.
func (k *numberForms) add(text string, plain, first bool) {
	number, unit := text, ""
	if !plain {
		number, unit = dataset.CutUnit(text)
	}
	if first {
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

// notation returns the simplest notation of those that fit, with a comma or a point if both do.
func (k *numberForms) notation(comma bool, thousands string) dataset.Notation {
	if !k.marked || k.forms == 0 {
		comma = false
	}
	var best *dataset.Notation
	for i := range dataset.Notations {
		n := &dataset.Notations[i]
		if k.forms&(1<<i) != 0 && (best == nil || (n.Decimal == ",") == comma && (best.Decimal == ",") != comma ||
			n.Decimal == best.Decimal && thousands != "" && n.Thousands == thousands) {
			best = n
		}
	}
	return *cmp.Or(best, new(dataset.Notation))
}

// orders are the first of dataset.DateForms: those that are found; the others must be named.
const orders = 3

// dateForms are the forms of dates that the cells of a column fit.
type dateForms struct {
	dates            uint // bit i: every cell is a date in dataset.DateForms[i]
	named            bool // the user says which dates they are, so that bit is set whatever the cells are
	earliest, latest [len(dataset.DateForms)]time.Time
	clock            bool   // there are times of day
	short            string // a date, if all could begin with a year of two digits
	long             bool   // one could not
}

func (k *dateForms) add(text string) {
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

// digits are what tells codes and dates from other numbers.
type digits struct {
	low, high float64 // of plain numbers
	fraction  bool    // one is not whole
	noMonth   bool    // a cell is not as 03.2022, which is a month more often than a number
	zeros     string  // a cell of digits alone that begins with a zero
	width     int     // of all cells; -1 if they differ
}

func (k *digits) add(text string, x float64, first bool) {
	if first {
		k.low, k.high, k.width = x, x, len(text)
	}
	k.low, k.high, k.fraction = min(k.low, x), max(k.high, x), k.fraction || x != math.Trunc(x)
	if len(text) != k.width {
		k.width = -1
	}
	if !k.noMonth {
		const from, to = 1900, 2100 // years
		month, ok := dataset.ParseDate("1."+text, dataset.DayFirst)
		k.noMonth = !ok || month.Year() < from || month.Year() > to
	}
	if k.zeros == "" && len(text) > 1 && text[0] == '0' && strings.Trim(text, "0123456789") == "" {
		k.zeros = text
	}
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
