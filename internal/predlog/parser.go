package predlog

import (
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"churn/internal/dataset"

	"github.com/go-json-experiment/json"
)

// A parser reads the lines of a log one after another. What is a record Parse
// alone decides. But most lines of a log differ in their values only: a line that
// has, byte for byte, the form that Append gives to the features of the last
// record is read in passing. Any other line goes to Parse, and so does a record
// with other features, which the next line is then expected to have.
type parser struct {
	ids    bool              // request ids are wanted: without them nothing is allocated for a line
	record Record            // the last one, or what is left of it
	heads  []string          // what Append writes before the value of each of its features
	model  string            // of the last record, if it has no escapes
	texts  map[string]string // the file names and levels met, so that each is kept once
}

const (
	maxTexts = 1 << 10 // texts kept; a category with more levels costs an allocation a line
	maxText  = 1 << 8  // bytes of one; what is longer is nobody's level
)

var errTooLong = errors.New("not a prediction: longer than 8 MiB")

// parse does what Parse does, but refuses a line that is too long. The record is
// good until the next call.
func (p *parser) parse(line []byte) (*Record, error) {
	size := len(line)
	if size == 0 || line[size-1] != '\n' {
		size++ // its end, which it lacks or was read without
	}
	if size > maxLine {
		return nil, errTooLong
	}
	if p.heads != nil && p.again(line) {
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
	alike := func(a, b Feature) bool { return a.Name == b.Name }
	if p.heads != nil && slices.EqualFunc(p.record.Features, r.Features, alike) {
		return // another program wrote the line, or it has escapes
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

// again reads a line into record if it is one with the features of the last
// one, written as Append writes it. False says nothing about the line.
func (p *parser) again(line []byte) bool {
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
	c.end()
	return !c.lost && r.ModelVersion != "" && r.Probability >= 0 && r.Probability <= 1
}

// keep returns a text that lives longer than the line.
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

// A cursor moves along a line as long as it finds what it is asked for.
type cursor struct {
	left []byte
	lost bool // for good
}

func (c *cursor) lose() { c.left, c.lost = nil, true }

// peek returns the next byte, or 0.
func (c *cursor) peek() byte {
	if len(c.left) == 0 {
		return 0
	}
	return c.left[0]
}

// has tells whether s comes next, and passes over it if so.
func (c *cursor) has(s string) bool {
	if len(c.left) < len(s) || string(c.left[:len(s)]) != s {
		return false
	}
	c.left = c.left[len(s):]
	return true
}

// skip passes over what must come next.
func (c *cursor) skip(s string) {
	if !c.has(s) {
		c.lose()
	}
}

// text returns a string to its closing quote, which it passes over. It has no escapes.
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

// number returns a number without an exponent, to the last bit what strconv makes of it.
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
	// No exponent follows: a comma or a brace is asked for next.
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

// warnings returns the list that takes up the line but for its last brace.
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

// end passes over the line's end.
func (c *cursor) end() {
	if len(trimEnd(c.left)) > 0 {
		c.lose()
	}
}

// trimEnd returns a line without its end.
func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}
