package predlog

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"churn/internal/dataset"

	"github.com/go-json-experiment/json"
)

// A parser reads the lines of a log one after another. Parse defines what a record is, but
// most lines of a log differ in their values only: a line that has, byte for byte, the form
// that Append gives to the features of the last record is read directly. Any other line goes
// to Parse, and its features are then expected of the next line.
type parser struct {
	ids    bool              // parse request ids: without them a line costs no allocation
	record Record            // the last one, perhaps overwritten in part
	heads  []string          // what Append writes before the value of each of its features
	model  string            // of the last record, if it has no escapes
	texts  map[string]string // interned file names and levels
}

const (
	maxTexts = 1 << 10 // interned texts; a category with more levels costs an allocation per line
	maxText  = 1 << 8  // bytes of one; levels are shorter
)

var errTooLong = errors.New("not a prediction: longer than 8 MiB")

// parse is Parse, but rejects a line that is too long. The record is valid until the next
// call.
func (p *parser) parse(line []byte) (*Record, error) {
	size := len(line)
	if size == 0 || line[size-1] != '\n' {
		size++ // with its line end, which was removed or is missing
	}
	if size > maxLine {
		return nil, errTooLong
	}
	if p.heads != nil && p.parseFast(line) {
		return &p.record, nil
	}
	r, err := Parse(line)
	if err != nil {
		return nil, err
	}
	if !p.ids {
		r.RequestID = ""
	}
	p.expect(r)
	return r, nil
}

// expect prepares for records with the features of r.
func (p *parser) expect(r *Record) {
	sameName := func(a, b Feature) bool { return a.Name == b.Name }
	if p.heads != nil && slices.EqualFunc(p.record.Features, r.Features, sameName) {
		return // written by another program, or with escapes
	}
	p.record = Record{Features: append(p.record.Features[:0], r.Features...)}
	p.model = ""
	p.heads = append(p.heads[:0], `,"features":{`)
	for i, f := range r.Features {
		head := []byte(`,"features":{`)
		if i > 0 {
			head = []byte{','}
		}
		head = append(appendString(head, f.Name), ':')
		p.heads = append(p.heads[:i], string(head))
	}
}

// parseFast reads a line into record if it has the features of the last one and was written by
// Append. A line for which it returns false may still be a record.
func (p *parser) parseFast(line []byte) bool {
	c := cursor{left: line}
	r := &p.record
	c.skip(`{"request_id":"`)
	if id := c.text(); p.ids {
		r.RequestID = string(id)
	}
	c.skip(`,"model_version":"`)
	if before := c; !c.has(p.model) || !c.has(`"`) {
		c = before
		p.model = p.keep(c.text())
	}
	r.ModelVersion = p.model
	c.skip(`,"prediction":`)
	r.Prediction = c.bit()
	c.skip(`,"probability":`)
	r.Probability = c.number()
	c.skip(`,"latency_ms":`)
	r.LatencyMS = c.number()
	if len(r.Features) == 0 {
		c.skip(p.heads[0])
	}
	for i := range r.Features {
		c.skip(p.heads[i])
		v := &r.Features[i].Value
		switch c.peek() {
		case '"':
			c.skip(`"`)
			if text := c.text(); string(text) != v.Text || !v.Level {
				*v = dataset.Value{Text: p.keep(text), Level: true}
			}
		case 'n':
			c.skip(`null`)
			*v = dataset.Value{Missing: true}
		default:
			*v = dataset.Value{Number: c.number()}
		}
	}
	c.skip(`},"ts":`)
	r.TS = c.number()
	c.skip(`,"threshold":`)
	r.Threshold = c.number()
	r.Warnings = nil
	if c.peek() == ',' {
		c.skip(`,"warnings":`)
		r.Warnings = c.warnings()
	}
	c.skip(`}`)
	return !c.lost && len(trimEnd(c.left)) == 0 && r.ModelVersion != "" && r.Probability >= 0 && r.Probability <= 1
}

// keep returns a copy of a text of the line, interned if it is short.
func (p *parser) keep(b []byte) string {
	if s, ok := p.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(p.texts) < maxTexts && len(s) <= maxText {
		if p.texts == nil {
			p.texts = map[string]string{}
		}
		p.texts[s] = s
	}
	return s
}

// A cursor moves along a line as long as it finds what is expected.
type cursor struct {
	left []byte
	lost bool // it has not
}

func (c *cursor) lose() { c.left, c.lost = nil, true }

// peek returns the next byte, or 0.
func (c *cursor) peek() byte {
	if len(c.left) == 0 {
		return 0
	}
	return c.left[0]
}

// has reports whether s comes next, and skips it if so.
func (c *cursor) has(s string) bool {
	if len(c.left) < len(s) || string(c.left[:len(s)]) != s {
		return false
	}
	c.left = c.left[len(s):]
	return true
}

// skip skips what must come next.
func (c *cursor) skip(s string) {
	if !c.has(s) {
		c.lose()
	}
}

// text returns a string up to its closing quote, which it skips. It has no escapes.
func (c *cursor) text() []byte {
	var all byte
	for i, b := range c.left {
		if b == '"' {
			text := c.left[:i]
			if all >= utf8.RuneSelf && !utf8.Valid(text) {
				break
			}
			c.left = c.left[i+1:]
			return text
		}
		if b < ' ' || b == '\\' {
			break
		}
		all |= b
	}
	c.lose()
	return nil
}

// bit returns a 0 or a 1.
func (c *cursor) bit() int {
	b := c.peek()
	if b != '0' && b != '1' {
		c.lose()
		return 0
	}
	c.left = c.left[1:]
	return int(b - '0')
}

// appendDigits appends the digits of b from i on to a number, and returns where they end.
func appendDigits(b []byte, i int, number uint64) (int, uint64) {
	for ; i < len(b); i++ {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		number = number*10 + uint64(d)
	}
	return i, number
}

// number returns a number without an exponent, the same to the last bit as strconv.
func (c *cursor) number() float64 {
	b := c.left
	i := 0
	if len(b) > 0 && b[0] == '-' {
		i = 1
	}
	first := i
	i, digits := appendDigits(b, i, 0)
	if i == first || b[first] == '0' && i > first+1 {
		c.lose()
		return 0
	}
	places := 0
	if i < len(b) && b[i] == '.' {
		point := i
		i, digits = appendDigits(b, i+1, digits)
		if places = i - point - 1; places == 0 {
			c.lose()
			return 0
		}
	}
	c.left = b[i:]
	// No exponent follows, since a comma or a brace is expected next.
	const most = 16 // digits and point: fewer than digits overflows at
	if i-first <= most {
		if x, ok := dataset.Decimal(digits, places); ok {
			if first > 0 {
				x = -x
			}
			return x
		}
	}
	x, err := strconv.ParseFloat(string(b[:i]), 64)
	if err != nil {
		c.lose()
	}
	return x
}

// warnings returns the list that fills the line up to its last brace.
func (c *cursor) warnings() (list []string) {
	c.left = trimEnd(c.left)
	if c.peek() != '[' || c.left[len(c.left)-1] != '}' {
		c.lose()
		return nil
	}
	end := len(c.left) - 1
	if err := json.Unmarshal(c.left[:end], &list); err != nil {
		c.lose()
		return nil
	}
	c.left = c.left[end:]
	return list
}

// trimEnd returns a line without its end.
func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
