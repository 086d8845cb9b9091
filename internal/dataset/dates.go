package dataset

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

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

// Parts of dates: levels such as 03, and 1 Mon.
const (
	Month   = "month"
	Weekday = "weekday"
)

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

// timeLayouts are ISO 8601 as files have it. A time without a zone is taken for UTC.
var timeLayouts = []string{
	time.DateOnly, time.DateTime, "2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04", "2006-01",
}

// ParseTime reads a date or a date and time, as seconds since 1970, or a number, as it is.
func ParseTime(text string) (at float64, date, ok bool) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return float64(t.Unix()) + float64(t.Nanosecond())/1e9, true, true
		}
	}
	at, ok = ParseNumber(text)
	return at, false, ok && math.Abs(at) <= MaxNumber
}

// clockLayouts are times of day and their zones, in capitals and without spaces.
var clockLayouts = func() (all []string) {
	for _, clock := range []string{"15:04", "15:04:05", "3:04PM", "3:04:05PM"} {
		for _, zone := range []string{"", "Z07:00", "Z0700", "Z07"} {
			all = append(all, clock+zone)
		}
	}
	return all
}()

// ParseMoment reads a date as ParseDate does, with the time of day and the zone behind it, and writes it as ParseTime
// reads it. ok is false for a time of day that cannot be read.
func ParseMoment(text, form string) (iso string, ok bool) {
	at, ok := ParseDate(text, form)
	colon := strings.IndexByte(text, ':')
	if !ok || colon < 0 {
		return at.Format(time.DateOnly), ok
	}
	start := len(strings.TrimRight(text[:colon], "0123456789"))
	clock := strings.NewReplacer(" ", "", "UTC", "Z", "GMT", "Z").Replace(strings.ToUpper(text[start:]))
	for _, layout := range clockLayouts {
		if t, err := time.Parse(layout, clock); err == nil {
			return at.Add(t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))).Format(time.RFC3339Nano), true
		}
	}
	return "", false
}

// FormatTime writes what ParseTime reads.
func FormatTime(at float64, date bool) string {
	if !date {
		return FormatNumber(at)
	}
	t := time.Unix(int64(at), 0).UTC()
	if t.Unix()%(24*60*60) == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
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
