package predictor

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predictor/budget"
	"churn/internal/predlog"
)

// maxRequestID is the longest request_id taken, in characters: it is in every line of the log.
const maxRequestID = 200

// maxText is the longest text accepted for a category that no training row had, in bytes:
// it is in the log twice, and readers of the log limit the length of a line.
const maxText = dataset.MaxText

const (
	allocation = 16 // bytes that a text takes beside its own
	escaped    = 6  // bytes that one of a text may take in JSON, as \u0001
)

// maxDetails is how many errors of one request are listed: each takes more bytes than its cause.
const maxDetails = 1000

// maxIgnored is how many ignored fields of a request are named.
const maxIgnored = 20

const decimalComma = "value is not a valid float: decimal commas are read where the training data had them"

var (
	longID   = fmt.Sprintf("ensure this value has at most %d characters", maxRequestID)
	longText = fmt.Sprintf("ensure this value has at most %d characters", maxText)
)

// A batch is the customers of one request, and their records once they are scored. Every
// protocol fills one, so that all share its checks.
type batch struct {
	snapshot *snapshot
	schema   *dataset.Schema // the snapshot's
	rows     []row
	at       int      // the row that the setters set
	details  []detail // validation errors, at most maxDetails
	many     bool     // the request may have several customers: details name the row
	lenient  bool     // fields that the schema does not have are ignored
	ignored  []string // their names, at most maxIgnored
	most     int      // maximum of rows; 0: no limit
	guessed  bool     // a CSV body was taken for Windows-1252

	claim    *budget.Claim // the memory of the rows
	rowBytes int64         // of a row and its part of a response, without texts
	full     error         // of claim: there was no memory for a text

	lines    []byte            // the records, a line each
	ends     []int             // 0, and where each line ends, its line end included
	features []predlog.Feature // of one row at a time

	reader reader // of JSON
}

// A row is one customer.
type row struct {
	requestID string
	values    []dataset.Value // in the schema's order
	seen      []bool          // by feature
	named     bool            // JSON has a request_id for it, be it empty

	model.Score // once it is scored
}

// start empties a batch, whose memory it reuses, and returns it.
func (b *batch) start(s *snapshot, many bool, claim *budget.Claim) *batch {
	const (
		each  = 512 // bytes: a row, in an array that has grown, and numbers of a response
		value = int64(unsafe.Sizeof(dataset.Value{})) + 1
	)
	*b = batch{reader: b.reader, snapshot: s, schema: s.model.Schema, many: many, rows: b.rows[:0], claim: claim,
		lines: b.lines[:0], ends: append(b.ends[:0], 0), features: b.features[:0]}
	b.rowBytes = each + value*int64(len(b.schema.Features))
	return b
}

// spend counts the memory of a text. If there is none, begin and err say so.
func (b *batch) spend(bytes int) {
	if err := b.claim.Spend(int64(bytes)); err != nil {
		b.full = err
	}
}

// inParts is what to do with a batch that is too large.
const inParts = ": send it in parts, or score the whole file with serve --score"

// begin adds an empty row, which the setters set. A row too many is a *problem.
func (b *batch) begin() error {
	if b.most > 0 && len(b.rows) == b.most {
		text := fmt.Sprintf("the batch has more than %d rows", b.most) + inParts
		return &problem{status: http.StatusRequestEntityTooLarge, text: text}
	}
	if err := cmp.Or(b.full, b.claim.Spend(b.rowBytes)); err != nil {
		return err
	}
	giveWay(len(b.rows))
	b.at = len(b.rows)
	b.rows = slices.Grow(b.rows, 1)[:b.at+1] // with what an earlier row there has
	r, n := b.row(), len(b.schema.Features)
	if cap(r.values) < n {
		r.values, r.seen = make([]dataset.Value, n), make([]bool, n)
	}
	r.values, r.seen, r.requestID, r.named = r.values[:n], r.seen[:n], "", false
	clear(r.seen)
	return nil
}

// goTo makes the setters set row i, for bodies that come by column. The row after the last
// is begun.
func (b *batch) goTo(i int) error {
	if i == len(b.rows) {
		return b.begin()
	}
	b.at = i
	return nil
}

// row returns the row that the setters set: the last one, or that of goTo.
func (b *batch) row() *row { return &b.rows[b.at] }

// end completes the row: features that were not set are missing.
func (b *batch) end() {
	r := b.row()
	for i, seen := range r.seen {
		if !seen {
			b.setMissing(i, b.required(b.schema.Features[i].Name), "value_error.missing")
		}
	}
}

// required is the error for a field that is not there, with an ignored one that may be it.
func (b *batch) required(field string) string {
	if name := dataset.Nearest(field, slices.Values(b.ignored)); name != "" {
		return "field required: is it " + name + "?"
	}
	return "field required"
}

// err returns the validation errors as an *invalidError, or that there was no memory, or nil.
func (b *batch) err() error {
	if b.full != nil {
		return b.full
	}
	if len(b.details) == 0 {
		return nil
	}
	return &invalidError{b.details}
}

// index returns the position of a feature, or -1.
func (b *batch) index(name []byte) int {
	for i := range b.schema.Features {
		if b.schema.Features[i].Name == string(name) {
			return i
		}
	}
	return b.schema.Index(string(name)) // composed
}

// setNumber sets feature i to a number.
func (b *batch) setNumber(i int, x float64) {
	f := &b.schema.Features[i]
	if f.Type != dataset.Number {
		b.setSpelled(i, func(level string) bool {
			y, err := strconv.ParseFloat(level, 64)
			return err == nil && y == x
		})
		return
	}
	v, problem := f.CheckNumber(x)
	b.setOrMissing(i, v, problem)
}

// setBool sets feature i to a boolean: a number to 1 or 0.
func (b *batch) setBool(i int, yes bool) {
	if b.schema.Features[i].Type == dataset.Category {
		b.setSpelled(i, func(level string) bool {
			y, known := dataset.YesNo(level)
			return known && y == yes
		})
	} else if yes {
		b.setNumber(i, 1)
	} else {
		b.setNumber(i, 0)
	}
}

// setSpelled sets feature i, a category, to the level that spells a number or a boolean: what
// read the training file as such sends it as such. Where no level does or several do, the
// error names some.
func (b *batch) setSpelled(i int, spells func(level string) bool) {
	const named = 5
	levels := b.snapshot.model.Encoder.Levels[b.schema.Features[i].Name]
	found := slices.IndexFunc(levels, spells)
	if found >= 0 && !slices.ContainsFunc(levels[found+1:], spells) {
		b.set(i, dataset.Value{Text: levels[found], Level: true}, nil)
		return
	}
	b.row().seen[i] = true
	msg := "str type expected"
	for k, level := range levels[:min(named, len(levels))] {
		msg += []string{", such as ", ", "}[min(k, 1)] + strconv.Quote(dataset.Shorten(level))
	}
	b.fieldError(b.schema.Features[i].Name, msg, "type_error.str")
}

// setText sets feature i to a text, which a number is not.
func (b *batch) setText(i int, raw []byte) {
	f := &b.schema.Features[i]
	if f.Type != dataset.Category {
		b.wrongType(i)
		return
	}
	b.spend(len(raw) + allocation)
	v, problem := f.CheckText(string(raw))
	b.setLevel(i, v, problem)
}

// setLevel sets feature i to a level. One that was not in the training rows must not be too
// long, nor have control characters: in a record each would take six bytes and more.
func (b *batch) setLevel(i int, v dataset.Value, problem *dataset.Problem) {
	long := len(v.Text) > maxText
	if (long || strings.ContainsFunc(v.Text, unicode.IsControl)) && !b.snapshot.model.Knows(i, v) {
		b.row().seen[i] = true
		msg, kind := "control characters not permitted in a text that no training row had", "value_error.any_str.control"
		if long {
			msg, kind = longText, "value_error.any_str.max_length"
		}
		b.fieldError(b.schema.Features[i].Name, msg, kind)
		return
	}
	b.setOrMissing(i, v, problem)
}

// setCell sets feature i to the cell of a CSV file, where numbers are texts.
func (b *batch) setCell(i int, cell string) {
	f := &b.schema.Features[i]
	v, problem := f.CheckText(cell)
	if problem != nil && problem.Kind == dataset.NotANumber && strings.Contains(cell, ",") && f.Decimal != "," {
		b.row().seen[i] = true
		b.fieldError(f.Name, decimalComma, "type_error.float")
		return
	}
	b.spend(len(v.Text) + allocation)
	v.Text = strings.Clone(v.Text) // of the whole line
	b.setLevel(i, v, problem)
}

func (b *batch) setOrMissing(i int, v dataset.Value, problem *dataset.Problem) {
	if v.Missing {
		b.setMissing(i, "field required", "value_error.missing")
	} else {
		b.set(i, v, problem)
	}
}

// setNull sets feature i to null.
func (b *batch) setNull(i int) {
	b.setMissing(i, "none is not an allowed value", "type_error.none.not_allowed")
}

func (b *batch) set(i int, v dataset.Value, problem *dataset.Problem) {
	r, f := b.row(), &b.schema.Features[i]
	r.values[i], r.seen[i] = v, true
	if problem == nil {
		return
	}
	if problem.Kind == dataset.NotANumber {
		b.wrongType(i)
		return
	}
	d := translate(problem)
	d.Loc = b.loc(f.Name)
	b.add(d)
}

// setMissing sets feature i to missing, which is an error unless it is optional.
func (b *batch) setMissing(i int, msg, kind string) {
	r, f := b.row(), &b.schema.Features[i]
	r.values[i], r.seen[i] = dataset.Value{Missing: true, Level: f.Type == dataset.Category}, true
	if !f.Optional {
		b.fieldError(f.Name, msg, kind)
	}
}

// wrongType adds the error for a value of another type than feature i has.
func (b *batch) wrongType(i int) {
	f := &b.schema.Features[i]
	b.row().seen[i] = true
	switch {
	case f.Part != "":
		b.fieldError(f.Name, "value is no date: the training data had "+f.Notation.String(), "value_error.date")
	case f.Type == dataset.Category:
		b.fieldError(f.Name, "str type expected", "type_error.str")
	case f.Integer:
		b.fieldError(f.Name, "value is not a valid integer", "type_error.integer")
	default:
		b.fieldError(f.Name, "value is not a valid float"+plain(f.Notation), "type_error.float")
	}
}

// plain says what number stands for a cell in a notation.
func plain(n dataset.Notation) string {
	switch text := n.Example(); {
	case n == dataset.Notation{}:
		return ""
	case text == "":
		return ": plain in JSON, such as 1234.5, and in text/csv as exported: " + n.String()
	case n.Date != "":
		return ": " + text + ", and as exported in text/csv"
	default:
		return ": " + text
	}
}

// setRequestID sets the row's request_id.
func (b *batch) setRequestID(id string) {
	id, msg, kind := loggedID(id)
	if msg != "" {
		b.fieldError("request_id", msg, kind)
	}
	b.spend(len(id) + allocation)
	b.row().requestID = id
}

// loggedID returns an id as it is logged, without white space around it, as outcomes are read,
// and what is wrong with it.
func loggedID(id string) (logged, msg, kind string) {
	id = strings.TrimSpace(id)
	switch {
	case utf8.RuneCountInString(id) > maxRequestID:
		return id, longID, "value_error.any_str.max_length"
	case strings.ContainsFunc(id, unicode.IsControl):
		return id, "ensure this value has no control characters", "value_error.str.regex"
	}
	return id, "", ""
}

// unknown adds the error for a field that the schema does not have, with the most similar
// one that it has.
func (b *batch) unknown(name string, loc []any) {
	if b.lenient {
		if name = dataset.Shorten(name); len(b.ignored) < maxIgnored && !slices.Contains(b.ignored, name) {
			b.ignored = append(b.ignored, name)
		}
		return
	}
	if len(b.details) == maxDetails {
		return // finding the nearest takes time
	}
	msg := "extra fields not permitted"
	features := b.schema.Columns()[:len(b.schema.Features)] // without the target
	if near := dataset.Nearest(name, slices.Values(features)); near != "" {
		msg += ": did you mean " + near + "?"
	}
	b.add(detail{Loc: loc, Msg: msg, Type: "value_error.extra"})
}
