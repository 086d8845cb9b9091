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

// A ProblemKind is a kind of invalid value.
type ProblemKind int

// Kinds of problem.
const (
	NotANumber ProblemKind = iota + 1 // the text does not read as a finite number
	NotWhole                          // a fraction where the schema says integer
	BreaksRule                        // outside the feature's validate
	Reserved                          // the text of missing cells
	OutOfRange                        // beyond ±MaxNumber
	TooLong                           // a text above MaxText
)

// MaxText is the longest text of a category, in bytes. Levels are far shorter, and each is in the
// model, its card and the log.
const MaxText = 1000

// MaxNumber is the largest magnitude of a number. Measurements are far smaller, and
// sums of their squares do not overflow.
const MaxNumber = 1e100

// A Problem says what is wrong with one value.
type Problem struct {
	Kind  ProblemKind
	Value string // the value as it was written
	As    string // for NotANumber: how the column is written, if it is not plain
	Text  bool   // the value is a text, not a number
	Rule  string // for BreaksRule: the term of validate that failed, such as gte
	Param string // and its parameter, such as 0
}

// ID identifies the kind of problem and the rule: problems with one ID are one issue.
func (p *Problem) ID() string { return fmt.Sprint(p.Kind, p.Rule) }

func (p *Problem) Error() string {
	switch p.Kind {
	case NotANumber:
		text := fmt.Sprintf("%q is not a %s", Shorten(p.Value), map[bool]string{true: "date", false: "number"}[p.Text])
		if p.As != "" {
			text += ": the column has " + p.As
		}
		if _, plain := ParseDecimal(p.Value); plain { // of another export
			text += ": write it so, or give the file as a workbook or Parquet, whose cells are numbers and dates"
		}
		return text
	case NotWhole:
		return fmt.Sprintf("%s is not a whole number", Shorten(p.Value))
	case OutOfRange:
		return fmt.Sprintf("%s is too large: at most 1e100", Shorten(p.Value))
	case TooLong:
		return fmt.Sprintf("%q has %d bytes, at most %d: is there a quote that is not closed? "+
			"Otherwise leave the column out with --ignore", Shorten(p.Value), len(p.Value), MaxText)
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

// Changes says what cleaning did to a cell.
type Changes uint8

const (
	Trimmed Changes = 1 << iota // white space around it was removed
	Recased                     // its case was set
	Clipped                     // it was raised to clip_min
)

// Clean turns the text of a cell into a value: it trims white space, recognises missing
// cells, sets the case, clips small numbers, and then validates. The text returned is
// the cell as prepare writes it.
func (f *Feature) Clean(raw string) (v Value, text string, changes Changes, problem *Problem) {
	text = Trim(raw)
	if len(text) != len(raw) {
		changes |= Trimmed
	}
	if f.marks.Text(text) {
		return f.missing(), "", changes, nil
	}
	if f.Type == Category {
		v, problem = f.level(text)
		if !v.Missing && v.Text != text && f.Part == "" {
			changes |= Recased
		}
		if problem == nil && len(v.Text) > MaxText {
			problem = &Problem{Kind: TooLong, Value: v.Text}
		}
		return v, v.Text, changes, problem
	}
	x, ok := f.Notation.Parse(text)
	if !ok {
		return Value{}, text, changes, f.notANumber(text)
	}
	if f.Notation != (Notation{}) || strings.HasPrefix(text, PlainMark) {
		text = FormatNumber(x)
	}
	if f.ClipMin != nil && x < *f.ClipMin && !f.marks.Number(x) {
		x = *f.ClipMin
		text = FormatNumber(x)
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

// Plain returns the number in a cell that Clean would leave as it is, and false for any other cell.
func (f *Feature) Plain(cell []byte) (float64, bool) {
	x, ok := ParseNumber(string(cell))
	if !ok || f.Type != Number || f.Notation != (Notation{}) || f.ClipMin != nil && x < *f.ClipMin {
		return 0, false
	}
	v, problem := f.CheckNumber(x)
	return x, problem == nil && !v.Missing
}

// Free reports whether Clean would leave every plain decimal as it is.
func (f *Feature) Free() bool {
	return f.Type == Number && f.Notation == (Notation{}) && f.ClipMin == nil && !f.Integer && f.Validate == "" &&
		len(f.marks.numbers) == 0
}

// CheckNumber validates a number; nothing is clipped. A number among the schema's
// marks for missing is missing.
func (f *Feature) CheckNumber(x float64) (Value, *Problem) {
	v := Value{Number: x}
	switch {
	case f.marks.Number(x):
		return f.missing(), nil
	case !(math.Abs(x) <= MaxNumber):
		return v, &Problem{Kind: OutOfRange, Value: strconv.FormatFloat(x, 'g', -1, 64)}
	case f.Integer && x != math.Trunc(x):
		return v, &Problem{Kind: NotWhole, Value: FormatNumber(x)}
	}
	p := f.rule.checkNumber(x)
	if p != nil {
		p.Value = FormatNumber(x)
	}
	return v, p
}

// CheckText trims a text and validates it: a number as CheckNumber does, a level after
// setting its case. An empty text, or one of the schema's marks for missing, is missing.
func (f *Feature) CheckText(text string) (Value, *Problem) {
	text = Trim(text)
	switch {
	case f.marks.Text(text):
		return f.missing(), nil
	case f.Type == Category:
		return f.level(text)
	}
	x, ok := f.Notation.Parse(text)
	if !ok {
		return Value{}, f.notANumber(text)
	}
	return f.CheckNumber(x)
}

func (f *Feature) notANumber(text string) *Problem {
	p := &Problem{Kind: NotANumber, Value: text}
	if f.Notation != (Notation{}) {
		p.As = f.Notation.String()
	}
	return p
}

// level validates a trimmed text of a category after setting its case.
func (f *Feature) level(text string) (Value, *Problem) {
	if f.Part != "" {
		part, ok := f.Notation.level(text)
		if !ok {
			p := f.notANumber(text)
			p.Text = true
			return Value{Text: text, Level: true}, p
		}
		text = part
	}
	switch f.Case {
	case "lower":
		text = strings.ToLower(text)
	case "upper":
		text = strings.ToUpper(text)
	}
	if to, mapped := f.Map[text]; mapped {
		text = to
	}
	if f.marks.Text(text) { // in its new case
		return f.missing(), nil
	}
	v := Value{Text: text, Level: true}
	if text == MissingLevel {
		return v, &Problem{Kind: Reserved, Value: text}
	}
	p := f.rule.checkText(text)
	if p != nil {
		p.Value, p.Text = text, true
	}
	return v, p
}

func (f *Feature) missing() Value { return Value{Missing: true, Level: f.Type == Category} }

// Missing reports whether a text means missing.
func (f *Feature) Missing(text string) bool { return f.marks.Text(Trim(text)) }

// MissingNumbers returns the numbers among the schema's marks for missing.
func (f *Feature) MissingNumbers() []float64 { return f.marks.numbers }

// A Mismatch is the reason why a logged value cannot be scored.
type Mismatch string

// The reasons.
const (
	Absent    Mismatch = "missing"      // and the feature is not optional
	OtherType Mismatch = "another type" // a text for a number, or a number for a category
	Outside   Mismatch = "not allowed"  // by integer, validate, or the range of all numbers
)

// CheckValue validates a value that has a type already, such as one in the log, as
// the service does: with CheckNumber or CheckText, and a missing value must be of an
// optional feature. The mismatch is "" for a value that can be scored; detail says
// what is wrong with one that is not allowed.
func (f *Feature) CheckValue(v Value) (checked Value, mismatch Mismatch, detail string) {
	var problem *Problem
	switch {
	case v.Missing:
		checked = f.missing()
	case v.Level != (f.Type == Category):
		return v, OtherType, ""
	case v.Level:
		checked, problem = f.CheckText(v.Text)
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
