package dataset

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A Value is one cell after cleaning: a number, a level, or missing.
// In JSON it is a number, a string or null.
type Value struct {
	Number  float64 // finite
	Text    string  // the level of a category
	Missing bool
	Level   bool // the value of a category: Text counts, not Number
}

// Float returns the value as a number, NaN for a missing one.
func (v Value) Float() float64 {
	if v.Missing {
		return math.NaN()
	}
	return v.Number
}

// MarshalJSONTo implements the encoder's interface.
func (v Value) MarshalJSONTo(e *jsontext.Encoder) error {
	switch {
	case v.Missing:
		return e.WriteToken(jsontext.Null)
	case v.Level:
		return e.WriteToken(jsontext.String(v.Text))
	}
	return e.WriteToken(jsontext.Float(v.Number))
}

// UnmarshalJSONFrom implements the decoder's interface.
func (v *Value) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	t, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch t.Kind() {
	case 'n':
		*v = Value{Missing: true}
	case '"':
		*v = Value{Text: t.String(), Level: true}
	case '0':
		x, err := t.Float()
		*v = Value{Number: x}
		return err
	default:
		return fmt.Errorf("a value is a number, a string or null, not %s", t)
	}
	return nil
}

// A ProblemKind is what can be wrong with a value.
type ProblemKind int

// Kinds of problem.
const (
	NotANumber ProblemKind = iota + 1 // the text does not read as a finite number
	NotWhole                          // a fraction where the schema says integer
	BreaksRule                        // outside the feature's validate
	Reserved                          // the text that stands for missing cells
	OutOfRange                        // beyond ±MaxNumber
)

// MaxNumber is the largest size of a number. No measurement comes near, and
// sums of squares below it do not overflow.
const MaxNumber = 1e100

// A Problem says what is wrong with one value.
type Problem struct {
	Kind  ProblemKind
	Value string // the value as it was written
	Text  bool   // it is a text, not a number
	Rule  string // for BreaksRule: the part of validate that failed, such as gte
	Param string // and its parameter, such as 0
}

// ID names what is wrong whatever the value: problems with one ID are one issue.
func (p *Problem) ID() string { return fmt.Sprint(p.Kind, p.Rule) }

func (p *Problem) Error() string {
	switch p.Kind {
	case NotANumber:
		return fmt.Sprintf("%q is not a number", Shorten(p.Value))
	case NotWhole:
		return fmt.Sprintf("%s is not a whole number", Shorten(p.Value))
	case OutOfRange:
		return fmt.Sprintf("%s is too large: at most 1e100", Shorten(p.Value))
	case Reserved:
		return fmt.Sprintf("%q is reserved for missing cells", p.Value)
	}
	words, ok := map[string]string{
		"gte": "below", "min": "below", "gt": "not above",
		"lte": "above", "max": "above", "lt": "not below",
	}[p.Rule]
	if !ok || p.Text { // on text these rules count characters
		return fmt.Sprintf("%q breaks the rule %s", Shorten(p.Value), strings.TrimSuffix(p.Rule+"="+p.Param, "="))
	}
	return fmt.Sprintf("%s is %s %s", p.Value, words, p.Param)
}

// Shorten cuts a long value for a message.
func Shorten(s string) string {
	const most = 60 // characters
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// Changes says what cleaning did to a cell.
type Changes uint8

const (
	Trimmed Changes = 1 << iota // white space around it was removed
	Recased                     // its case was set
	Clipped                     // it was raised to clip_min
)

// Clean turns the text of a CSV cell into a value: white space trimmed, missing
// recognised, case set, small numbers clipped, and then judged. The text
// returned is the cell as prepare writes it.
func (f *Feature) Clean(raw string) (v Value, text string, changes Changes, problem *Problem) {
	text = Trim(raw)
	if len(text) != len(raw) {
		changes |= Trimmed
	}
	if f.marks.Text(text) {
		return Value{Missing: true, Level: f.Type == Category}, "", changes, nil
	}
	if f.Type == Category {
		v, problem = f.level(text)
		if !v.Missing && v.Text != text {
			changes |= Recased
		}
		return v, v.Text, changes, problem
	}
	x, ok := ParseNumber(text)
	if !ok {
		return Value{}, text, changes, &Problem{Kind: NotANumber, Value: text}
	}
	if f.marks.Number(x) {
		return Value{Missing: true}, "", changes, nil
	}
	if f.ClipMin != nil && x < *f.ClipMin {
		x = *f.ClipMin
		text = strconv.FormatFloat(x, 'f', -1, 64)
		changes |= Clipped
	}
	v, problem = f.CheckNumber(x)
	if problem != nil {
		problem.Value = text
	}
	if v.Missing {
		text = ""
	}
	return v, text, changes, problem
}

// CheckNumber judges a number against the schema; nothing is clipped. One that
// the schema has among its marks for missing is missing.
func (f *Feature) CheckNumber(x float64) (Value, *Problem) {
	if f.marks.Number(x) {
		return Value{Missing: true}, nil
	}
	v := Value{Number: x}
	if !(math.Abs(x) <= MaxNumber) {
		return v, &Problem{Kind: OutOfRange, Value: strconv.FormatFloat(x, 'g', -1, 64)}
	}
	if f.Integer && x != math.Trunc(x) {
		return v, &Problem{Kind: NotWhole, Value: strconv.FormatFloat(x, 'f', -1, 64)}
	}
	if p := f.rule.checkNumber(x); p != nil {
		p.Value = strconv.FormatFloat(x, 'f', -1, 64)
		return v, p
	}
	return v, nil
}

// Missing tells whether a text means missing.
func (f *Feature) Missing(text string) bool {
	return f.marks.Text(Trim(text))
}

// MissingNumbers returns the numbers among the schema's marks for missing.
func (f *Feature) MissingNumbers() []float64 { return f.marks.numbers }

// Trim returns a text as a CSV file keeps it: without white space around it, and
// without the \r before a line end, which a CSV reader drops.
func Trim(text string) string {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "\r\n") {
		return text
	}
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if rest, ok := strings.CutSuffix(line, "\n"); ok {
			lines[i] = strings.TrimRight(rest, "\r") + "\n"
		}
	}
	return strings.Join(lines, "")
}

// CheckLevel trims a text, sets its case and judges it. An empty text, or one
// of the schema's marks for missing, is missing.
func (f *Feature) CheckLevel(text string) (Value, *Problem) {
	text = Trim(text)
	if f.marks.Text(text) {
		return Value{Missing: true, Level: true}, nil
	}
	return f.level(text)
}

// CheckText is CheckLevel for a category; for a number it reads the text and
// judges it as CheckNumber does. An empty text is missing.
func (f *Feature) CheckText(text string) (Value, *Problem) {
	if f.Type == Category {
		return f.CheckLevel(text)
	}
	text = Trim(text)
	if f.marks.Text(text) {
		return Value{Missing: true}, nil
	}
	x, ok := ParseNumber(text)
	if !ok {
		return Value{}, &Problem{Kind: NotANumber, Value: text}
	}
	return f.CheckNumber(x)
}

func (f *Feature) level(text string) (Value, *Problem) {
	switch f.Case {
	case "lower":
		text = strings.ToLower(text)
	case "upper":
		text = strings.ToUpper(text)
	}
	if f.marks.Text(text) { // in its new case
		return Value{Missing: true, Level: true}, nil
	}
	v := Value{Text: text, Level: true}
	if text == MissingLevel {
		return v, &Problem{Kind: Reserved, Value: text}
	}
	if p := f.rule.checkText(text); p != nil {
		p.Value, p.Text = text, true
		return v, p
	}
	return v, nil
}

// ParseNumber reads a finite decimal number. What else strconv would take as
// one is rejected: NaN, infinities, hexadecimal, and what overflows.
func ParseNumber(s string) (float64, bool) {
	if x, ok := parseDecimal(s); ok {
		return x, true
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c == '.', c == '-', c == '+', c == 'e', c == 'E':
		default:
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil
}

// parseDecimal reads the plain decimals of most files, such as -12.50, and leaves
// others to strconv.
func parseDecimal(s string) (float64, bool) {
	const most = 16 // digits and point: fewer than an int64 has
	digits := strings.TrimPrefix(s, "-")
	if len(digits) == 0 || len(digits) > most || digits[0] == '.' || digits[len(digits)-1] == '.' {
		return 0, false
	}
	n, point := uint64(0), len(digits)-1
	for i := range len(digits) {
		switch c := digits[i]; {
		case c >= '0' && c <= '9':
			n = 10*n + uint64(c-'0')
		case c == '.' && point == len(digits)-1:
			point = i
		default:
			return 0, false
		}
	}
	x, ok := Decimal(n, len(digits)-1-point)
	if len(digits) < len(s) {
		x = -x
	}
	return x, ok
}

// Decimal returns digits/10^places, to the last bit what strconv makes of such a
// text: whole numbers up to 2⁵³ and powers of ten up to 10¹⁵ are floats as they
// are, so that one division is rounded once, as it must be (Clinger 1990). Beyond
// them it returns false.
func Decimal(digits uint64, places int) (float64, bool) {
	if digits > 1<<53 || places >= len(powersOfTen) {
		return 0, false
	}
	return float64(digits) / powersOfTen[places], true
}

var powersOfTen = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// A Mismatch is the reason why a logged value cannot be scored.
type Mismatch string

// The reasons.
const (
	Absent    Mismatch = "missing"      // and the feature is not optional
	OtherType Mismatch = "another type" // a text for a number, or a number for a category
	Outside   Mismatch = "not allowed"  // by integer, validate, or the range of all numbers
)

// CheckValue validates a value that has a type already, such as one in the log, as
// the service does: with CheckNumber or CheckLevel, and a missing value must be of an
// optional feature. The mismatch is "" for a value that can be scored; detail says
// what is wrong with one that is not allowed.
func (f *Feature) CheckValue(v Value) (checked Value, mismatch Mismatch, detail string) {
	var problem *Problem
	switch {
	case v.Missing:
		checked = Value{Missing: true, Level: f.Type == Category}
	case v.Level != (f.Type == Category):
		return v, OtherType, ""
	case v.Level:
		checked, problem = f.CheckLevel(v.Text)
	default:
		checked, problem = f.CheckNumber(v.Number)
	}
	switch {
	case problem != nil:
		return checked, Outside, problem.Error()
	case checked.Missing && !f.Optional:
		return checked, Absent, ""
	}
	return checked, "", ""
}
