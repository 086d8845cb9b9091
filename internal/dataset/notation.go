package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
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

// Parts of dates: levels such as 03, and 1 Mon.
const (
	Month   = "month"
	Weekday = "weekday"
)

// PlainMark begins a number that is plain whatever the column's notation, such as =0.45.
const PlainMark = "="

// Forms of dates: the order of the parts, or what a number counts.
const (
	YearFirst   = "ymd" // 20260131 too, and 20260131.0, as pandas writes it where other cells are empty
	DayFirst    = "dmy"
	MonthFirst  = "mdy"
	ExcelSerial = "excel"    // days, 1 is 1900-01-01
	Epoch       = "epoch"    // seconds since 1970 in UTC
	EpochMillis = "epoch-ms" // milliseconds
)

// DateForms are all of them, in the order in which they are preferred.
var DateForms = [...]string{YearFirst, DayFirst, MonthFirst, ExcelSerial, Epoch, EpochMillis}

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

// Example says what number a cell of a number is, such as "18 % is 0.18"; "" if that is plain.
func (n *Notation) Example() string {
	switch {
	case n.AsOf != "":
		return "a date is its days before " + n.AsOf
	case n.Unit == Percent:
		return "18 % is 0.18"
	case n.Unit == Seconds:
		return "0:03:24 is 204"
	case n.Unit == Minutes:
		return "1:30 is 90"
	}
	return ""
}

// String says it in words.
func (n *Notation) String() string {
	if n.Date != "" {
		form := map[string]string{
			YearFirst: "with the year first", DayFirst: "with the day first", MonthFirst: "with the month first",
			ExcelSerial: "as Excel counts days",
			Epoch:       "as seconds since 1970 (UTC)", EpochMillis: "as milliseconds since 1970 (UTC)",
		}[n.Date]
		if n.Part != "" {
			return fmt.Sprintf("dates %s: their %s", form, n.Part)
		}
		return fmt.Sprintf("dates %s: days before %s", form, n.AsOf)
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
		words = append(words, "percent: 18 % is 0.18")
	case Seconds:
		words = append(words, "durations: 0:03:24 is 204 seconds")
	case Minutes:
		words = append(words, "durations: 1:30 is 90")
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
	needed := n.Unit == Percent || n.Unit == Seconds || n.Unit == Minutes
	if unit != n.Unit && (unit != "" || needed) {
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

// level returns the part of a date, or a text that is one, as the log has it.
func (n *Notation) level(text string) (level string, ok bool) {
	date, ok := ParseDate(text, n.Date)
	if n.Part == Month {
		_, err := time.Parse("01", text)
		if !ok && err == nil {
			return text, true
		}
		return date.Format("01"), ok
	}
	for day := range 7 {
		if name := date.AddDate(0, 0, day); text == weekday(name) {
			return text, true
		}
	}
	return weekday(date), ok
}

func weekday(date time.Time) string {
	return fmt.Sprint((int(date.Weekday())+6)%7+1, date.Format(" Mon")) // so that they sort
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
			switch {
			case n.Thousands == " " && unicode.IsSpace(r), n.Thousands == "'" && r == '’':
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

// eastern replaces what is between the parts of dates such as 2024年3月15日 and 2024. 3. 15.
var eastern = strings.NewReplacer("年", "-", "月", "-", "日", " ",
	"년 ", "-", "년", "-", "월 ", "-", "월", "-", "일", " ", ". ", ".")

// perDay is how much numbers that are dates grow in a day.
var perDay = map[string]float64{ExcelSerial: 1, Epoch: 24 * 60 * 60, EpochMillis: 24 * 60 * 60 * 1000}

// ParseDate reads a date, of which a time of day that follows is left out, and the zone with it. Its
// parts are numbers with - / or . between them, or the month a name as in 5-Jan-24 and Jan 5, 2024. A year
// has four digits or, if it is last, two: 69 is 1969 and 68 is 2068. Or it is a number, of a day from
// 1900-03-01, since Excel has a 29 February 1900, to 9999-12-31.
func ParseDate(text, order string) (time.Time, bool) {
	if per := perDay[order]; per > 0 {
		const first, last, excel = -25508, 2932896, 25569 // days after 1970-01-01; which this is in Excel
		x, ok := ParseNumber(text)
		if x /= per; order == ExcelSerial {
			x -= excel
		}
		x = math.Floor(x)
		return time.Unix(0, 0).UTC().AddDate(0, 0, int(x)), ok && x >= first && x <= last
	}
	if digits := strings.TrimSuffix(text, ".0"); order == YearFirst && len(digits) == 8 && allDigits(digits) {
		text = digits[:4] + "-" + digits[4:6] + "-" + digits[6:]
	}
	text, ok := numberMonth(strings.TrimSuffix(eastern.Replace(text), "."), order)
	day, clock := text, ""
	if i := strings.IndexAny(text, " T"); i > 0 {
		day, clock = text[:i], text[i+1:]
	}
	if !ok || strings.Trim(clock, "0123456789:.+-ZAaPpMmUTCG ") != "" || clock != "" && !strings.Contains(clock, ":") {
		return time.Time{}, false
	}
	at := strings.IndexAny(day, "-/.")
	if at < 0 {
		return time.Time{}, false
	}
	parts := strings.Split(day, day[at:at+1])
	if len(parts) != 3 {
		return time.Time{}, false
	}
	var n [3]int // year, month, day
	for i, part := range parts {
		k := strings.IndexByte("ymd", order[i])
		short := k == 0 && i == 2 && len(part) == 2 && (day[at] != '.' || len(day) == len("31.12.24")) // not 1.2.10
		if len(part) > 4 || k > 0 && len(part) > 2 || k == 0 && len(part) != 4 && !short || !allDigits(part) {
			return time.Time{}, false
		}
		if n[k], _ = strconv.Atoi(part); short { // "" is no day
			n[k] = 1969 + (n[k]+31)%100
		}
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], 0, 0, 0, 0, time.UTC)
	return t, t.Month() == time.Month(n[1]) && t.Day() == n[2] && n[0] > 0 // there is no 31/02
}

// named finds a month's name in a date: English, German, French, Spanish, Portuguese or Italian.
var named = regexp.MustCompile(`(?i)^(\d*)(?:er|st|nd|rd|th)?[ .,/-]*(?:de )?(?:(jan|ene|gen)|` +
	`(feb|f[eé]v)|(m[aä]r|mrz)|(a[pbv]r)|(ma[yig])|(jun|juin|giu)|(jul|juil|lug)|(aug|aoû|ago)|` +
	`(se[pt])|(o[ck]t|out|ott)|(nov)|(d[eé][cz]|dic))\pL*[ .,/-]*(?:del? )?(.*)$`)

// numberMonth replaces a month's name in a date by its number. ok is false if the order of the parts is another.
func numberMonth(text, order string) (_ string, ok bool) {
	if !strings.ContainsFunc(text[:min(len(text), len("2026-Ja"))], unicode.IsLetter) {
		return text, true // quickly, also with the T of a time behind it
	}
	m := named.FindStringSubmatch(text)
	if m == nil {
		return text, true
	}
	const first, behind = 2, 14 // groups
	month := strconv.Itoa(1 + slices.IndexFunc(m[first:behind], func(name string) bool { return name != "" }))
	if m[1] != "" {
		return m[1] + "-" + month + "-" + m[behind], order != MonthFirst
	}
	rest := strings.Replace(m[behind], ", ", " ", 1)
	return month + "-" + strings.Replace(rest, " ", "-", 1), order == MonthFirst
}

// DaysAfter returns by how many days the dates of s are counted from a later day than those of another
// schema, for the columns where that differs: what a number of that one is to be raised by to be one of s.
func (s *Schema) DaysAfter(other *Schema) map[string]float64 {
	var days map[string]float64
	for _, f := range s.Features {
		i := other.Index(f.Name)
		if i < 0 || f.AsOf == other.Features[i].AsOf {
			continue
		}
		to, err := time.Parse(time.DateOnly, f.AsOf)
		from, unread := time.Parse(time.DateOnly, other.Features[i].AsOf)
		if err != nil || unread != nil {
			continue // a number in one of them
		}
		if days == nil {
			days = map[string]float64{}
		}
		days[f.Name] = to.Sub(from).Hours() / 24
	}
	return days
}

// CountTo has dates counted back from another day, such as 2026-01-31, instead of each as_of.
func (s *Schema) CountTo(day string) error {
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return fmt.Errorf("--as-of %q: a date such as 2026-01-31", day)
	}
	dates := false
	for j := range s.Features {
		if f := &s.Features[j]; f.AsOf != "" {
			f.AsOf, dates = day, true
		}
	}
	if !dates {
		return fmt.Errorf("--as-of %s: no number of the schema is a date", day)
	}
	return nil
}
