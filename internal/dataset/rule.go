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

// A rule is a feature's validate, compiled. Bounds, which most numbers have, are
// compared here; validator applies every other rule.
type rule struct {
	tag      string
	validate *validator.Validate
	bounds   []Bound // the whole rule, if it is a number's and of bounds alone
}

// A Bound is a limit within a rule for numbers, such as gte=0.
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

// external are the rules that look at files, sockets or names in the network. A client
// could choose which by its cell, and a cell could be valid on one machine alone.
var external = []string{
	"file", "filepath", "dir", "dirpath", "image", "timezone", "unix_addr", "uds_exists",
	"tcp_addr", "tcp4_addr", "tcp6_addr", "udp_addr", "udp4_addr", "udp6_addr", "ip_addr", "ip4_addr", "ip6_addr",
}

// compileRule tries a rule on values of its type: validator panics when it first uses
// an unknown tag, or one that does not fit the type.
func compileRule(tag string, number bool) (r *rule, err error) {
	if tag == "" {
		return nil, nil
	}
	terms := strings.FieldsFunc(tag, func(c rune) bool { return c == ',' || c == '|' })
	for _, term := range terms {
		name, _, _ := strings.Cut(term, "=")
		switch {
		case slices.Contains(external, strings.TrimSpace(name)):
			return nil, fmt.Errorf("validate %q: leave %s out: it looks at files or the network, and a rule sees one cell",
				tag, name)
		case strings.HasPrefix(name, "required"), strings.HasPrefix(name, "excluded"), strings.HasPrefix(name, "omit"):
			return nil, fmt.Errorf("validate %q: leave %s out: a feature must be present unless it is optional", tag, name)
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
	// Each term by itself too: validator stops at the first that does not hold.
	for _, term := range append(terms, tag) {
		for _, v := range values {
			err := r.validate.Var(v, term)
			if _, ok := err.(validator.ValidationErrors); err != nil && !ok {
				return nil, fmt.Errorf("validate %q: %w", tag, err)
			}
		}
	}
	return r, nil
}

// parseBounds returns the terms of a rule if all are bounds, else nil.
func parseBounds(tag string) (bounds []Bound) {
	for term := range strings.SplitSeq(tag, ",") {
		b, ok := parseBound(term)
		if !ok {
			return nil
		}
		bounds = append(bounds, b)
	}
	return bounds
}

func parseBound(term string) (b Bound, ok bool) {
	name, param, _ := strings.Cut(term, "=")
	limit, err := strconv.ParseFloat(param, 64)
	switch name {
	case "gte", "lte", "gt", "lt", "min", "max":
		return Bound{name, param, limit}, err == nil
	}
	return Bound{}, false
}

// Bounds returns the bounds in a number's validate, in order. It is false if validate
// has other terms too.
func (f *Feature) Bounds() ([]Bound, bool) {
	if f.rule == nil {
		return nil, true
	}
	return f.rule.bounds, f.rule.bounds != nil
}

// checkText returns the term of the rule that a text breaks, or nil.
func (r *rule) checkText(text string) *Problem {
	if r == nil {
		return nil // before text is boxed
	}
	return r.apply(text)
}

// checkNumber returns the term of the rule that a number breaks, or nil.
func (r *rule) checkNumber(x float64) *Problem {
	if r == nil {
		return nil
	}
	if r.bounds == nil {
		return r.apply(x)
	}
	for i := range r.bounds {
		if b := &r.bounds[i]; !b.holds(x) {
			return &Problem{Kind: BreaksRule, Rule: b.Tag, Param: b.Param}
		}
	}
	return nil
}

func (r *rule) apply(value any) *Problem {
	errs, ok := r.validate.Var(value, r.tag).(validator.ValidationErrors)
	if !ok || len(errs) == 0 {
		return nil
	}
	return &Problem{Kind: BreaksRule, Rule: errs[0].Tag(), Param: errs[0].Param()}
}

// Allowed is a feature's validate as far as a JSON Schema can express it. The limits are
// on a number, or on the number of characters of a category.
type Allowed struct {
	Min, Max     *float64 // inclusive limits; nil: none
	Above, Below *float64 // exclusive limits; nil: none
	OneOf        []string // allowed levels; nil: any
	Other        []string // the other terms of validate
}

// Allowed returns the feature's validate. Of several limits of a kind the tightest counts.
func (f *Feature) Allowed() Allowed {
	var a Allowed
	if f.Validate == "" {
		return a
	}
	for term := range strings.SplitSeq(f.Validate, ",") {
		b, ok := parseBound(term)
		levels, oneOf := strings.CutPrefix(term, "oneof=")
		switch {
		case ok && !math.IsInf(b.Limit, 0) && !math.IsNaN(b.Limit):
			a.tighten(b)
		case oneOf && a.OneOf == nil && !strings.Contains(term, "|"): // | means or
			a.OneOf = parseLevels(levels)
		default:
			a.Other = append(a.Other, term)
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

// parseLevels returns the levels of a oneof, in which 0x2C stands for a comma and 0x7C for |.
func parseLevels(param string) []string {
	levels := levelsOfOneOf.FindAllString(strings.NewReplacer("0x2C", ",", "0x7C", "|").Replace(param), -1)
	for i := range levels {
		levels[i] = strings.ReplaceAll(levels[i], "'", "")
	}
	return levels
}
