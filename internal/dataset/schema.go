// Package dataset defines what a customer is: a schema that is data and not code, the
// rules that a valid value meets, how a cell is cleaned, and how a column is audited,
// summarised and split. Every step uses these definitions, and there are no others.
//
// It reads no customers itself: package csvdata reads them from files, package sqldata
// from a database. How rows become the numbers that a model is fitted to is defined in
// package model.
package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"unicode"

	"churn/internal/strictjson"

	"github.com/go-json-experiment/json"
	"golang.org/x/text/unicode/norm"
)

// Format is the version of the schema's file format that this program reads and writes.
const Format = 1

// DefaultMaxLevels is how many different values a category may have; more are taken
// for an identifier. A feature's max_levels changes it.
const DefaultMaxLevels = 100

// maxLevels bounds max_levels: level codes are 16 bits wide, the last one means missing.
const maxLevels = math.MaxUint16 - 1

// MissingLevel is the level of missing cells of a category in a model's weights. No
// cell may have this text.
const MissingLevel = "(missing)"

// A Schema says which columns a data set has and what their values must be. It is made
// by [ParseSchema], [Lab] or [Schema.With], and does not change afterwards.
type Schema struct {
	Format        int       `json:"format"`
	Target        Target    `json:"target"`
	Features      []Feature `json:"features"`
	Ignore        []string  `json:"ignore"`                   // columns that may be present and are not read
	MissingValues []string  `json:"missing_values,omitempty"` // texts that mean missing, besides the empty one
	Pairs         []Pair    `json:"pairs,omitempty"`          // that a model must have
	NoPairs       []Pair    `json:"no_pairs,omitempty"`       // that no model may have

	marks Marks // MissingValues and the empty text
	loose bool  // a feature's name is not composed
}

// A Target is the column to predict. A row is positive if the cell equals Positive,
// as a number if both are numbers, else as text.
type Target struct {
	Name     string `json:"name"`
	Positive string `json:"positive"`
	Negative string `json:"negative,omitempty"` // if given, rows with a third value are left out
	Blank    bool   `json:"blank,omitzero"`     // an empty cell is negative, not missing
}

// A Pair is two features that enter a model together, besides each on its own.
type Pair [2]string

// String returns a pair as people write it.
func (p Pair) String() string { return p[0] + " × " + p[1] }

// Same reports whether two pairs are the same features.
func (p Pair) Same(q Pair) bool { return p == q || p == Pair{q[1], q[0]} }

// Types of a feature.
const (
	Number   = "number"
	Category = "category"
)

// A Feature is a column to predict from.
type Feature struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`                // Number or Category
	Validate  string   `json:"validate,omitempty"`  // a rule of go-playground/validator, such as gte=0,lte=200
	Integer   bool     `json:"integer,omitzero"`    // numbers: no fractions; 6.0 is an integer
	ClipMin   *float64 `json:"clip_min,omitzero"`   // numbers: prepare raises smaller values to this
	Case      string   `json:"case,omitempty"`      // categories: lower, upper, or empty to leave it
	Optional  bool     `json:"optional,omitzero"`   // may be missing when a customer is scored
	MaxLevels int      `json:"max_levels,omitzero"` // categories: 0 means DefaultMaxLevels
	Term      string   `json:"term,omitempty"`      // numbers: how a model must use it: line, curve or levels
	Monotone  string   `json:"monotone,omitempty"`  // numbers: up or down: how the log-odds may change with it
	Notation           // numbers: how cells write them

	Map map[string]string `json:"map,omitempty"` // categories: levels, after case, that are spellings of others

	// For people who fill in a form.
	Label       string `json:"label,omitempty"` // instead of the name
	Description string `json:"description,omitempty"`

	rule  *rule // Validate, compiled
	marks Marks // the schema's
}

// Lab returns the schema of the synthetic customers, the default.
func Lab() *Schema {
	zero := 0.0
	s := &Schema{
		Format: Format,
		Target: Target{Name: "churn", Positive: "1"},
		Features: []Feature{
			{Name: "tenure_months", Type: Number, Validate: "gte=0,lte=200", Integer: true},
			{Name: "num_complaints", Type: Number, Validate: "gte=0,lte=50", Integer: true},
			{Name: "avg_session_minutes", Type: Number, Validate: "gte=0,lte=500", ClipMin: &zero},
			{Name: "plan_type", Type: Category, Case: "lower"},
			{Name: "region", Type: Category, Case: "upper"},
		},
		Ignore: []string{},
	}
	if err := s.compile(); err != nil {
		panic("dataset: " + err.Error())
	}
	return s
}

// ParseSchema reads a schema from JSON, whose characters it composes as Trim does, and checks it. The error
// has all issues: unknown keys and types, names that occur twice, rules that validator does not know.
func ParseSchema(b []byte) (*Schema, error) {
	var s Schema
	if err := s.UnmarshalJSON(norm.NFC.Bytes(b)); err != nil {
		return nil, err
	}
	return &s, nil
}

// ReadSchema reads the schema in a file.
func ReadSchema(path string) (*Schema, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := ParseSchema(bytes.TrimPrefix(b, []byte("\ufeff"))) // some editors begin a file with this mark
	return s, InFile(path, err)
}

// UnmarshalJSON reads a schema within another document, such as a model, with the
// checks of ParseSchema.
func (s *Schema) UnmarshalJSON(b []byte) error {
	var head struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return fmt.Errorf("not a schema: %w", strictjson.Clean(err))
	}
	if head.Format == nil {
		return errors.New("not a schema: it has no format")
	}
	if *head.Format != Format {
		return fmt.Errorf("schema format %d, this program reads format %d: if a later version wrote it, "+
			"upgrade this program first", *head.Format, Format)
	}
	type plain Schema // without this method
	var p plain
	if err := strictjson.Unmarshal(b, &p); err != nil {
		return err
	}
	*s = Schema(p)
	return s.compile()
}

// compile checks the schema and compiles its rules. The error has all issues.
func (s *Schema) compile() error {
	if s.Ignore == nil {
		s.Ignore = []string{}
	}
	var errs []error
	issue := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !isName(s.Target.Name) {
		issue("target: %w", errName)
	}
	if s.Target.Positive == "" || Trim(s.Target.Positive) != norm.NFC.String(s.Target.Positive) {
		issue("target %q: the positive value must not be empty, begin or end with a space, "+
			"nor have a \\r before a line end", s.Target.Name)
	}
	if len(s.Features) == 0 {
		issue("the schema has no features")
	}
	s.marks = NewMarks(s.MissingValues)
	seen := map[string]string{s.Target.Name: "the target"}
	for i := range s.Features {
		f := &s.Features[i]
		f.marks, s.loose = s.marks, s.loose || Trim(f.Name) != f.Name
		if other, ok := seen[f.Name]; ok {
			issue("feature %d: %q is %s already", i+1, f.Name, other)
		}
		seen[f.Name] = fmt.Sprintf("feature %d", i+1)
		if err := f.compile(); err != nil {
			issue("feature %d, %q: %w", i+1, f.Name, err)
		}
	}
	for _, name := range s.Ignore {
		if other, ok := seen[name]; ok {
			issue("ignore: %q is %s", name, other)
		}
	}
	for _, p := range s.NoPairs {
		if err := s.checkNames(p); err != nil {
			issue("%w", err)
		}
	}
	for _, p := range s.Pairs {
		if err := s.checkPair(p); err != nil {
			issue("%w", err)
		}
		if slices.ContainsFunc(s.NoPairs, p.Same) {
			issue("the pair %s is in pairs and in no_pairs: take it out of one", p)
		}
	}
	return errors.Join(errs...)
}

// CheckPairs reports pairs that a model of this schema cannot have.
func (s *Schema) CheckPairs(pairs []Pair) error {
	for i, p := range pairs {
		if err := s.checkPair(p); err != nil {
			return err
		}
		switch {
		case slices.ContainsFunc(s.NoPairs, p.Same):
			return fmt.Errorf("the pair %s is in no_pairs of the schema: take it out there, or do not name it", p)
		case slices.ContainsFunc(pairs[:i], p.Same):
			return fmt.Errorf("the pair %s is named twice: name it once", p)
		}
	}
	return nil
}

func (s *Schema) checkPair(p Pair) error {
	if err := s.checkNames(p); err != nil {
		return err
	}
	for _, name := range p {
		if s.Features[s.Index(name)].Monotone != "" {
			return fmt.Errorf("the pair %s: %q is monotone, which it could not be in a pair: leave one of the two out",
				p, name)
		}
	}
	return nil
}

// checkNames reports a pair that is not two features.
func (s *Schema) checkNames(p Pair) error {
	for _, name := range p {
		switch j := s.Index(name); {
		case j < 0 && slices.Contains(s.Ignore, name):
			return fmt.Errorf("the pair %s: %q is ignored: name features that the schema does not ignore", p, name)
		case j < 0:
			return fmt.Errorf("the pair %s: %q is not a feature of the schema: name two of its features", p, name)
		}
	}
	if p[0] == p[1] {
		return fmt.Errorf("the pair %s is one feature: name two", p)
	}
	return nil
}

func (f *Feature) compile() (err error) {
	number := f.Type == Number
	switch {
	case !isName(f.Name):
		return errName
	case f.Name == "request_id" || strings.HasPrefix(f.Name, "("):
		return errors.New("the name is reserved: request_id names requests, and names in parentheses are the program's: " +
			"rename it, or --ignore it")
	case f.Type != Number && f.Type != Category:
		return fmt.Errorf("type %q is neither %q nor %q", f.Type, Number, Category)
	case strings.ContainsFunc(f.Label+f.Description, unicode.IsControl), len(f.Label+f.Description) > MaxText:
		return fmt.Errorf("label and description: at most %d bytes together, without control characters", MaxText)
	case !number && (f.Integer || f.ClipMin != nil):
		return errors.New("integer and clip_min are for numbers")
	case number && (f.Case != "" || f.MaxLevels != 0 || f.Map != nil):
		return errors.New("case, map and max_levels are for categories")
	case !slices.Contains([]string{"", "lower", "upper"}, f.Case):
		return fmt.Errorf("case %q is neither lower nor upper", f.Case)
	case !number && (f.Term != "" || f.Monotone != ""):
		return errors.New("term and monotone are for numbers: leave them out, or make it a number")
	case !slices.Contains([]string{"", "line", "curve", "levels"}, f.Term):
		return fmt.Errorf("term %q is neither line, curve nor levels", f.Term)
	case !slices.Contains([]string{"", "up", "down"}, f.Monotone):
		return fmt.Errorf("monotone %q is neither up nor down", f.Monotone)
	case f.Monotone != "" && f.Term == "levels":
		return errors.New("levels cannot be monotone: the term must be line or curve")
	case f.MaxLevels < 0 || f.MaxLevels > maxLevels:
		return fmt.Errorf("max_levels %d is not in 1 to %d", f.MaxLevels, maxLevels)
	}
	if err := f.Notation.check(number); err != nil {
		return err
	}
	f.rule, err = compileRule(f.Validate, number)
	return err
}

// With returns the schema with more columns to ignore and more missing values.
func (s *Schema) With(ignore, missingValues []string) (*Schema, error) {
	t := *s
	t.Features = slices.Clone(s.Features)
	t.Ignore = nil
	seen := map[string]bool{}
	for _, name := range slices.Concat(s.Ignore, ignore) {
		if !seen[name] {
			t.Ignore = append(t.Ignore, name)
		}
		seen[name] = true
	}
	t.MissingValues = append(slices.Clone(s.MissingValues), missingValues...)
	return &t, t.compile()
}

// WithMaxLevels returns the schema with other limits of levels.
func (s *Schema) WithMaxLevels(limits map[string]int) (*Schema, error) {
	t := *s
	t.Features = slices.Clone(s.Features)
	for name, limit := range limits {
		j := t.Index(name)
		if j < 0 || t.Features[j].Type != Category {
			return nil, fmt.Errorf("--max-levels %s: there is no such category", name)
		}
		t.Features[j].MaxLevels = limit
	}
	return &t, t.compile()
}

// Plain returns the schema for a file whose numbers are in plain notation, as prepare writes them.
func (s *Schema) Plain() *Schema { return s.each(func(f *Feature) { f.Notation = Notation{} }) }

// Unclipped returns the schema by which customers are scored: numbers below clip_min are not raised to it.
func (s *Schema) Unclipped() *Schema { return s.each(func(f *Feature) { f.ClipMin = nil }) }

// Typed returns the schema for a file in which some columns have types: their numbers are plain, dates have
// the year first unless they are numbers, and times of day are durations.
func (s *Schema) Typed(typed func(column string) bool) *Schema {
	return s.each(func(f *Feature) {
		switch n := f.Notation; {
		case perDay[n.Date] > 0 || !typed(f.Name):
		case n.Date != "":
			f.Notation = Notation{Date: YearFirst, AsOf: n.AsOf, Part: n.Part}
		case n.Unit == Seconds || n.Unit == Minutes:
			f.Notation = Notation{Unit: n.Unit}
		default:
			f.Notation = Notation{}
		}
	})
}

// each returns a copy with changed features.
func (s *Schema) each(change func(*Feature)) *Schema {
	t := *s
	t.Features = slices.Clone(s.Features)
	for i := range t.Features {
		change(&t.Features[i])
	}
	return &t
}

// Columns returns the names of the columns that prepare writes: the features, then the target.
func (s *Schema) Columns() []string {
	var names []string
	for i := range s.Features {
		names = append(names, s.Features[i].Name)
	}
	return append(names, s.Target.Name)
}

// Index returns the position of a feature, or −1.
func (s *Schema) Index(name string) int {
	at := slices.IndexFunc(s.Features, func(f Feature) bool { return f.Name == name })
	if composed := Trim(name); at < 0 && (s.loose || composed != name) {
		at = slices.IndexFunc(s.Features, func(f Feature) bool { return f.Name == composed || s.loose && Same(f.Name, name) })
	}
	return at
}

// Skips reports whether a column may be present without being read: an ignored one, or
// the target when a customer is scored.
func (s *Schema) Skips(name string) bool {
	return Same(name, s.Target.Name) || slices.ContainsFunc(s.Ignore, func(other string) bool { return Same(name, other) })
}
