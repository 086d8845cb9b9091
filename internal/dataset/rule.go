package dataset

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"
)

// A rule is a feature's validate, ready to be asked. The bounds that most
// numbers have are compared here; every other rule is validator's to judge.
type rule struct {
	tag      string
	validate *validator.Validate
	bounds   []Bound // the whole rule, if it is a number's and of bounds alone
}

// A Bound is one part of a rule for numbers, such as gte=0.
type Bound struct {
	Tag   string // gte, min, lte, max, gt or lt
	Param string
	Limit float64
}

func (b *Bound) holds(x float64) bool {
	switch b.Tag {
	case "gte", "min":
		return x >= b.Limit
	case "lte", "max":
		return x <= b.Limit
	case "gt":
		return x > b.Limit
	}
	return x < b.Limit // lt
}

// outside are the rules that look at more than the cell: at files, sockets or names
// in the network. Whoever may send a cell would choose which, and one cell would be
// judged differently on two machines.
var outside = []string{
	"file", "filepath", "dir", "dirpath", "image", "timezone", "unix_addr", "uds_exists",
	"tcp_addr", "tcp4_addr", "tcp6_addr", "udp_addr", "udp4_addr", "udp6_addr", "ip_addr", "ip4_addr", "ip6_addr",
}

// compileRule tries a rule once on values of its type: validator panics on an
// unknown tag, and on one that does not fit the type, when it is first used.
func compileRule(tag string, number bool) (r *rule, err error) {
	if tag == "" {
		return nil, nil
	}
	parts := strings.FieldsFunc(tag, func(c rune) bool { return c == ',' || c == '|' })
	for _, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		switch {
		case slices.Contains(outside, strings.TrimSpace(name)):
			return nil, fmt.Errorf("validate %q: leave %s out: it looks at files or at the network, and a rule sees one cell", tag, name)
		case strings.HasPrefix(name, "required"), strings.HasPrefix(name, "excluded"), strings.HasPrefix(name, "omit"):
			return nil, fmt.Errorf("validate %q: leave %s out: a feature must be there unless it is optional", tag, name)
		case strings.HasSuffix(name, "field"):
			return nil, fmt.Errorf("validate %q: %s needs another field, and a rule sees one cell", tag, name)
		}
	}
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("validate %q: not a rule for this type: %v", tag, p)
		}
	}()
	r = &rule{tag: tag, validate: validator.New(validator.WithRequiredStructEnabled())}
	values := []any{"", "x"}
	if number {
		values = []any{0.0, 1.5}
		r.bounds = parseBounds(tag)
	}
	// One part at a time: validator looks at a part only once those before it hold.
	for _, part := range append(parts, tag) {
		for _, v := range values {
			err := r.validate.Var(v, part)
			if _, ok := err.(validator.ValidationErrors); err != nil && !ok {
				return nil, fmt.Errorf("validate %q: %w", tag, err)
			}
		}
	}
	return r, nil
}

// parseBounds returns the parts of a rule if all are bounds, else nil.
func parseBounds(tag string) []Bound {
	var bounds []Bound
	for part := range strings.SplitSeq(tag, ",") {
		b, ok := parseBound(part)
		if !ok {
			return nil
		}
		bounds = append(bounds, b)
	}
	return bounds
}

func parseBound(part string) (b Bound, ok bool) {
	name, param, _ := strings.Cut(part, "=")
	limit, err := strconv.ParseFloat(param, 64)
	switch name {
	case "gte", "lte", "gt", "lt", "min", "max":
		return Bound{name, param, limit}, err == nil
	}
	return Bound{}, false
}

// Bounds returns the parts of a number's validate in their order. It is false if
// validate says something else too, which only validator can judge.
func (f *Feature) Bounds() ([]Bound, bool) {
	if f.rule == nil {
		return nil, true
	}
	return f.rule.bounds, f.rule.bounds != nil
}

// checkText returns the part of the rule that a text breaks, or nil.
func (r *rule) checkText(text string) *Problem {
	if r == nil {
		return nil // before text is boxed
	}
	return r.ask(text)
}

// checkNumber returns the part of the rule that a number breaks, or nil.
func (r *rule) checkNumber(x float64) *Problem {
	if r == nil {
		return nil
	}
	if r.bounds == nil {
		return r.ask(x)
	}
	for i := range r.bounds {
		if b := &r.bounds[i]; !b.holds(x) {
			return &Problem{Kind: BreaksRule, Rule: b.Tag, Param: b.Param}
		}
	}
	return nil
}

// ask puts a value to validator.
func (r *rule) ask(value any) *Problem {
	errs, ok := r.validate.Var(value, r.tag).(validator.ValidationErrors)
	if !ok || len(errs) == 0 {
		return nil
	}
	return &Problem{Kind: BreaksRule, Rule: errs[0].Tag(), Param: errs[0].Param()}
}

// Allowed is a feature's validate, taken apart for those who describe it, as far
// as a JSON Schema can say it. The limits are those of a number, or of the number
// of characters of a category.
type Allowed struct {
	Min, Max     *float64 // nil: no limit
	Above, Below *float64 // limits that are not allowed themselves
	OneOf        []string // the levels allowed; nil: any
	Other        []string // the parts of validate that none of these say
}

// Allowed returns what validate says. Of several limits on one side the tightest counts.
func (f *Feature) Allowed() Allowed {
	var a Allowed
	if f.Validate == "" {
		return a
	}
	for part := range strings.SplitSeq(f.Validate, ",") {
		b, ok := parseBound(part)
		levels, oneOf := strings.CutPrefix(part, "oneof=")
		switch {
		case ok && !math.IsInf(b.Limit, 0) && !math.IsNaN(b.Limit):
			a.tighten(b)
		case oneOf && a.OneOf == nil && !strings.Contains(part, "|"): // a | between rules means or
			a.OneOf = parseLevels(levels)
		default:
			a.Other = append(a.Other, part)
		}
	}
	return a
}

func (a *Allowed) tighten(b Bound) {
	side, tighter := &a.Below, math.Min // lt
	switch b.Tag {
	case "gte", "min":
		side, tighter = &a.Min, math.Max
	case "lte", "max":
		side = &a.Max
	case "gt":
		side, tighter = &a.Above, math.Max
	}
	if *side != nil {
		b.Limit = tighter(**side, b.Limit)
	}
	*side = &b.Limit
}

var levelsOfOneOf = regexp.MustCompile(`'[^']*'|\S+`) // as validator splits them

// parseLevels returns the levels that a oneof allows. Validator writes a comma as 0x2C and | as 0x7C.
func parseLevels(param string) []string {
	levels := levelsOfOneOf.FindAllString(strings.NewReplacer("0x2C", ",", "0x7C", "|").Replace(param), -1)
	for i := range levels {
		levels[i] = strings.ReplaceAll(levels[i], "'", "")
	}
	return levels
}
