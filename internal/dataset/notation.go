package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A Notation is how the cells of a column write numbers. The zero value is plain: 1234.5. Files
// that prepare writes are plain, and so are numbers in JSON.
type Notation struct {
	Decimal   string `json:"decimal,omitempty"`   // "," in 1234,5
	Thousands string `json:"thousands,omitempty"` // between groups of three digits: . , ' or a space, of any width
	Unit      string `json:"unit,omitempty"`      // before or behind every number, such as € or GB; see Percent
	Date      string `json:"date,omitempty"`      // one of DateForms: a cell is a date, its number the days to AsOf
	AsOf      string `json:"as_of,omitempty"`     // of dates: a date such as 2026-01-31
	Part      string `json:"part,omitempty"`      // of dates: the level of a category is their Month or Weekday
}

// Units of cells that are not numbers with the unit beside them.
const (
	Percent = "%"     // divides by 100
	Seconds = "h:m:s" // a duration such as 00:03:24 is 204 seconds
	Minutes = "h:m"   // 1:30 is 90: of minutes, or if they stand for minutes and seconds of seconds
)

// PlainMark begins a number that is plain whatever the column's notation, such as =0.45.
const PlainMark = "="

// Notations are those that a column of numbers may have, without unit: the plain one is the first.
var Notations = []Notation{
	{}, {Thousands: ","}, {Thousands: " "}, {Thousands: "'"},
	{Decimal: ","}, {Decimal: ",", Thousands: "."}, {Decimal: ",", Thousands: " "}, {Decimal: ",", Thousands: "'"},
}

func (n *Notation) check(number bool) error {
	switch {
	case *n == Notation{}:
		return nil
	case n.Part != "":
		days := []string{YearFirst, DayFirst, MonthFirst}
		if rest := (Notation{Date: n.Date, Part: n.Part}); number || *n != rest || !slices.Contains(days, n.Date) ||
			n.Part != Month && n.Part != Weekday {
			return fmt.Errorf("part %q: month or weekday, of a category with a date of ymd, dmy or mdy", n.Part)
		}
		return nil
	case !number:
		return errors.New("decimal, thousands, unit, date without part, and as_of are for numbers")
	case n.Date != "":
		if !slices.Contains(DateForms[:], n.Date) {
			return fmt.Errorf("date %q is none of %q", n.Date, DateForms)
		}
		if _, err := time.Parse(time.DateOnly, n.AsOf); err != nil {
			return fmt.Errorf("as_of %q: dates need a date such as 2026-01-31, from which days are counted back", n.AsOf)
		}
		if n.Decimal+n.Thousands+n.Unit != "" {
			return errors.New("a date has no decimal, thousands or unit")
		}
		return nil
	case n.AsOf != "":
		return errors.New("as_of is for dates: say how they are written with date")
	}
	form := *n
	form.Unit = ""
	if form.Decimal == "." {
		form.Decimal = ""
	}
	if !slices.Contains(Notations, form) {
		return fmt.Errorf("decimal %q with thousands %q: decimal is . or , and thousands another of . , ' and a space",
			n.Decimal, n.Thousands)
	}
	return nil
}

// examples are of cells with such a unit.
var examples = map[string]string{Percent: "18 % is 0.18", Seconds: "0:03:24 is 204", Minutes: "1:30 is 90"}

// Example says what number a cell of a number is, such as "18 % is 0.18"; "" if that is plain.
func (n *Notation) Example() string {
	if n.AsOf != "" {
		return "a date is its days before " + n.AsOf
	}
	return examples[n.Unit]
}

// dateWords say in which forms dates are.
var dateWords = map[string]string{
	YearFirst: "with the year first", DayFirst: "with the day first", MonthFirst: "with the month first",
	ExcelSerial: "as Excel counts days",
	Epoch:       "as seconds since 1970 (UTC)", EpochMillis: "as milliseconds since 1970 (UTC)",
}

// String says it in words.
func (n *Notation) String() string {
	switch {
	case n.Part != "":
		return fmt.Sprintf("dates %s: their %s", dateWords[n.Date], n.Part)
	case n.Date != "":
		return fmt.Sprintf("dates %s: days before %s", dateWords[n.Date], n.AsOf)
	}
	words := []string{"numbers"}
	if n.Decimal == "," {
		words = append(words, "decimal comma")
	}
	if n.Thousands != "" {
		name := map[string]string{" ": "spaces", "'": "apostrophes", ",": "commas", ".": "points"}[n.Thousands]
		words = append(words, name+" between thousands")
	}
	switch n.Unit {
	case "":
	case Percent:
		words = append(words, "percent: "+examples[Percent])
	case Seconds:
		words = append(words, "durations: "+examples[Seconds]+" seconds")
	case Minutes:
		words = append(words, "durations: "+examples[Minutes])
	default:
		words = append(words, "unit "+n.Unit)
	}
	return strings.Join(words, ", ")
}

// Parse reads a trimmed cell.
func (n *Notation) Parse(text string) (x float64, ok bool) {
	if plain, marked := strings.CutPrefix(text, PlainMark); marked || *n == (Notation{}) {
		return ParseNumber(plain)
	}
	if n.Date != "" {
		date, ok := ParseDate(text, n.Date)
		asOf, err := time.Parse(time.DateOnly, n.AsOf)
		const day = 24 * 60 * 60
		return float64((asOf.Unix() - date.Unix()) / day), ok && err == nil
	}
	number, unit := CutUnit(text)
	if _, needed := examples[n.Unit]; unit != n.Unit && (unit != "" || needed) {
		return 0, false
	}
	plain, ok := n.plain(number)
	if !ok {
		return 0, false
	}
	if n.Unit == Percent {
		plain += "e-2" // which rounds once
	}
	return ParseNumber(plain)
}

// Format writes a number in the notation, with four digits: for people, and not to be read again.
func (n *Notation) Format(x float64) string {
	if n.Date != "" {
		asOf, _ := time.Parse(time.DateOnly, n.AsOf) // checked
		layout := map[string]string{DayFirst: "02/01/2006", MonthFirst: "01/02/2006"}[n.Date]
		return asOf.AddDate(0, 0, -int(x)).Format(cmp.Or(layout, time.DateOnly))
	}
	switch minutes := int64(x) / 60; n.Unit {
	case Percent:
		x *= 100
	case Seconds:
		return fmt.Sprintf("%d:%02d:%02d", minutes/60, minutes%60, int64(x)%60)
	case Minutes:
		return fmt.Sprintf("%d:%02d", minutes, int64(x)%60)
	}
	const digits = 4
	text := strconv.FormatFloat(x, 'g', digits, 64)
	if strings.Contains(text, "e") {
		rounded, _ := strconv.ParseFloat(text, 64) // it is a number
		text = FormatNumber(rounded)
	}
	if n.Decimal == "," {
		text = strings.Replace(text, ".", ",", 1)
	}
	if n.Unit != "" {
		text += " " + n.Unit
	}
	return text
}

// plain rewrites a number without its unit.
func (n *Notation) plain(text string) (string, bool) {
	text, negative := cutSign(text)
	text, exponent, scientific := strings.Cut(strings.ToLower(text), "e") // as in 1,20E+03
	if _, err := strconv.Atoi(exponent); scientific && err != nil {
		return "", false
	}
	point := "."
	if n.Decimal == "," {
		point = ","
	}
	whole, fraction, broken := strings.Cut(text, point)
	if broken && (fraction == "" || !allDigits(fraction)) {
		return "", false
	}
	if n.Thousands != "" {
		whole = strings.Map(func(r rune) rune {
			if n.Thousands == " " && unicode.IsSpace(r) || n.Thousands == "'" && r == '’' {
				return rune(n.Thousands[0])
			}
			return r
		}, whole)
		groups := strings.Split(whole, n.Thousands)
		for i, g := range groups {
			lakh := n.Thousands == "," && len(g) == 2 && i < len(groups)-1 // 12,34,567 in India
			if i > 0 && len(g) != 3 && !lakh || i == 0 && len(groups) > 1 && (g == "" || len(g) > 3 || g[0] == '0') {
				return "", false
			}
		}
		whole = strings.Join(groups, "")
	}
	if !allDigits(whole) || whole == "" && !broken {
		return "", false
	}
	plain := whole
	if broken {
		plain += "." + fraction
	}
	if negative {
		plain = "-" + plain
	}
	if scientific {
		plain += "e" + exponent
	}
	return plain, true
}
