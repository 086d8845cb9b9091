package dataset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Label is a cell of the target after cleaning.
type Label struct {
	Text     string
	Missing  bool
	Positive bool
	Third    bool // neither positive nor the target's Negative: the row is left out
}

// Label cleans a cell of the target.
func (s *Schema) Label(raw string) Label {
	l := Label{Text: Trim(raw)}
	l.Missing = s.marks.Text(l.Text)
	text := s.canonical(l.Text)
	l.Positive = text == s.canonical(s.Target.Positive)
	l.Third = s.Target.Negative != "" && !l.Positive && text != s.canonical(s.Target.Negative)
	return l
}

// canonical maps spellings of one label to one text: 1 and 1.0 where labels are numbers, True and
// TRUE, Yes and yes where they are such words.
func (s *Schema) canonical(label string) string {
	if _, numeric := ParseNumber(s.Target.Positive); numeric {
		if x, ok := ParseNumber(label); ok {
			return strconv.FormatFloat(x+0, 'g', -1, 64) // −0 is 0
		}
	}
	if _, word := Truth(s.Target.Positive); word && !numberLike(s.Target.Positive) {
		if _, word := Truth(label); word && !numberLike(label) {
			return inCaseOf(s.Target.Positive, label)
		}
	}
	return label
}

// inCaseOf writes a word as another one is: in lower case, in capitals, or with one.
func inCaseOf(other, word string) string {
	lower := strings.ToLower(word)
	switch other {
	case strings.ToLower(other):
		return lower
	case strings.ToUpper(other):
		return strings.ToUpper(word)
	}
	_, n := utf8.DecodeRuneInString(lower)
	return strings.ToUpper(lower[:n]) + lower[n:]
}

func numberLike(text string) bool {
	_, ok := ParseNumber(text)
	return ok
}

// Truth reads a word for yes or no, as programs and people write them.
func Truth(text string) (yes, known bool) {
	for i, words := range [...]string{
		" true true. yes y t 1 1.0 oui vrai ja wahr sí si verdadero sim verdadeiro evet да 是 はい 예 ",
		" false false. no n f 0 0.0 non faux nein falsch falso não nao hayır hayir нет 否 いいえ 아니오 ",
	} {
		if text != "" && !strings.Contains(text, " ") && strings.Contains(words, " "+strings.ToLower(text)+" ") {
			return i == 0, true
		}
	}
	return false, false
}

// Classes counts the values of the target. 1 and 1.0 are one class where the
// positive value is a number.
type Classes struct {
	schema *Schema
	list   []class
	at     map[string]int // position in list, by text
	more   bool           // there are more classes than list holds
}

type class struct {
	text  string
	line  int // the first
	count int
}

// NewClasses returns the classes of no rows.
func (s *Schema) NewClasses() Classes { return Classes{schema: s, at: map[string]int{}} }

// Class returns the number of a label's class, or −1 if there are too many.
// Classes are reported in the order of their first line.
func (c *Classes) Class(label string, line int) int {
	const most = 1000 // a target has two
	text := c.schema.canonical(label)
	if i, ok := c.at[text]; ok {
		return i
	}
	if len(c.list) == most {
		c.more = true
		return -1
	}
	i := len(c.list)
	c.at[text], c.list = i, append(c.list, class{text: text, line: line})
	return i
}

// Count adds rows of a class; −1 is ignored.
func (c *Classes) Count(class, rows int) {
	if class >= 0 {
		c.list[class].count += rows
	}
}

// Merge adds the rows of other classes.
func (c *Classes) Merge(other *Classes) {
	c.more = c.more || other.more
	for _, o := range other.list {
		if i := c.Class(o.text, o.line); i >= 0 {
			c.list[i].count += o.count
			c.list[i].line = min(c.list[i].line, o.line)
		}
	}
}

// Quality returns the counts.
func (c *Classes) Quality() TargetQuality {
	const most = 10 // enough to show that it is not a target
	target := c.schema.Target
	t := TargetQuality{Name: target.Name, Labels: map[string]int{}, More: c.more}
	t.Positive = c.schema.canonical(target.Positive)
	slices.SortFunc(c.list, func(a, b class) int { return a.line - b.line })
	for _, o := range c.list {
		if o.count == 0 {
			continue
		}
		if len(t.Labels) == most {
			t.More = true
			break
		}
		t.Labels[o.text] = o.count
	}
	return t
}

// TargetQuality counts the values of the target.
type TargetQuality struct {
	Name     string         `json:"name"`
	Positive string         `json:"positive"`
	Labels   map[string]int `json:"labels"`

	More bool `json:"-"` // there are more labels
}

// HasPositive reports whether some row is positive.
func (t *TargetQuality) HasPositive(s *Schema) bool {
	_, ok := t.Labels[s.canonical(t.Positive)]
	return ok
}

// List names the labels with their counts, the most frequent first.
func (t *TargetQuality) List() string {
	labels := ByCount(t.Labels)
	for i, l := range labels {
		labels[i] = fmt.Sprintf("%q in %d rows", Shorten(l), t.Labels[l])
		if t.Labels[l] == 1 {
			labels[i] = strings.TrimSuffix(labels[i], "s")
		}
	}
	if t.More {
		labels = append(labels, "…")
	}
	return strings.Join(labels, ", ")
}

// ByCount returns texts by how often each occurs, the most frequent first, of equal ones in ascending order.
func ByCount(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
}
