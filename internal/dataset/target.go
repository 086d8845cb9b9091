package dataset

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"churn/internal/strictjson"
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
	l.Missing = s.marks.Text(l.Text) && !(s.Target.Blank && l.Text == "")
	class := s.canonical(l.Text)
	l.Positive = class == s.canonical(s.Target.Positive)
	third := s.Target.Negative != "" || s.Target.Blank
	l.Third = third && !l.Positive && class != s.canonical(s.Target.Negative)
	return l
}

// canonical maps the spellings of one label to one text: 1 and 1.0 where labels are numbers, Yes, YES and y
// where they are words for yes and no, and any that differ in case alone.
func (s *Schema) canonical(label string) string {
	positive := s.Target.Positive
	if x, ok := ParseNumber(label); ok {
		if numberLike(positive) {
			return strconv.FormatFloat(x+0, 'g', -1, 64) // −0 is 0
		}
		return label
	}
	if _, word := YesNo(positive); word && !numberLike(positive) {
		if yes, word := YesNo(label); word {
			return map[bool]string{true: "yes", false: "no"}[yes]
		}
	}
	return strings.ToLower(label)
}

func numberLike(text string) bool {
	_, ok := ParseNumber(text)
	return ok
}

// YesNo reads a word for yes or no, as programs and people write them.
func YesNo(text string) (yes, known bool) {
	for i, words := range [...]string{
		" true true. yes y t 1 1.0 oui vrai ja wahr sí si verdadero sim verdadeiro evet ano áno tak igen kyllä da ya " +
			"да так ναι 是 はい 예 ",
		" false false. no n f 0 0.0 non faux nein nei nej nee falsch falso não nao hayır hayir ne nie nem ei nu tidak " +
			"нет ні όχι 否 いいえ 아니오 ",
	} {
		if text != "" && !strings.Contains(text, " ") && strings.Contains(words, " "+strings.ToLower(text)+" ") {
			return i == 0, true
		}
	}
	return false, false
}

// Spellings returns a map of a category's levels that spell yes or no otherwise than the first of its texts does, and
// of the ways to write true and false; of other levels that look alike the note says so.
func Spellings(texts iter.Seq[string]) (to map[string]string, note string) {
	var first [2]string // for no and yes
	of := map[string]string{}
	words, alike, more := true, "", 0
	to = map[string]string{}
	for text := range texts {
		level := Trim(text)
		yes, word := YesNo(level)
		if words = words && (word || level == ""); word {
			at := &first[0]
			if yes {
				at = &first[1]
			}
			if *at = cmp.Or(*at, level); *at != level {
				to[level] = *at
			}
		}
		look := looks(level)
		switch other, seen := of[look]; {
		case !seen || other == level:
		case alike != "":
			more++
		case strings.EqualFold(other, level):
			alike = fmt.Sprintf(`%q and %q are two levels: "case": "lower" in the schema makes them one`, other, level)
		default:
			alike = fmt.Sprintf(`%q and %q, which differ in %U, are two levels: "map" in the schema makes them one`,
				other, level, odd(other, level))
		}
		of[look] = level
	}
	if more > 0 {
		alike += fmt.Sprintf("; %d more look like another", more)
	}
	switch {
	case !words:
		return nil, alike
	case len(to) == 0 || first[0] == "" || first[1] == "":
		return booleans(first[0], first[1]), ""
	}
	maps.Copy(to, booleans(first[0], first[1]))
	return to, fmt.Sprintf("its spellings of yes and no are read as %q and %q; "+
		"others would be levels of their own: \"map\" in the schema takes them", first[1], first[0])
}

// odd returns the less usual of the first characters in which two texts differ.
func odd(one, other string) rune {
	a, b := []rune(one+"\x00"), []rune(other+"\x00")
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case Plain(string(a[i])) == "":
			return a[i]
		case Plain(string(b[i])) == "":
			return b[i]
		default:
			return max(a[i], b[i])
		}
	}
	return 0
}

// booleans returns a map to the levels true and false, as one of them is written, from the ways in which other programs
// write them: true, True and TRUE. It is nil for other levels.
func booleans(one, other string) map[string]string {
	no, yes := one, other
	if strings.EqualFold(one, "true") {
		no, yes = other, one
	}
	if !strings.EqualFold(no, "false") || !strings.EqualFold(yes, "true") {
		return nil
	}
	to := map[string]string{}
	for _, words := range [...][2]string{{"false", "true"}, {"False", "True"}, {"FALSE", "TRUE"}} {
		to[words[0]], to[words[1]] = no, yes
	}
	delete(to, no)
	delete(to, yes)
	return to
}

// TakeWord takes as positive the first word for yes of a column whose two values, in all spellings, are words for yes
// and no. The note says so; it is "" for other columns, and where the word is positive already.
func (t *Target) TakeWord(texts iter.Seq[string]) (note string) {
	label := ""
	for text := range texts {
		text = Trim(text)
		yes, known := YesNo(text)
		if !known && text != "" {
			return ""
		}
		if yes {
			label = cmp.Or(label, text)
		}
	}
	if label == "" || label == t.Positive {
		return ""
	}
	t.Positive = label
	return fmt.Sprintf("%s: %q is taken as positive: --positive says otherwise", strictjson.Printable(t.Name), label)
}

// Classes counts the values of the target, those of all spellings of one together.
type Classes struct {
	schema *Schema
	list   []class
	at     map[string]int // position in list, by Schema.canonical
	more   bool           // there are more classes than list holds
}

type class struct {
	text  string // the first spelling in the alphabet, a number as it is usually written
	line  int    // the first
	count int
}

// NewClasses returns the classes of no rows.
func (s *Schema) NewClasses() Classes { return Classes{schema: s, at: map[string]int{}} }

// Class returns the number of a label's class, or −1 if there are too many.
// Classes are reported in the order of their first line.
func (c *Classes) Class(label string, line int) int {
	const most = 1000 // a target has two
	of := c.schema.canonical(label)
	if numberLike(label) {
		label = of
	}
	if i, ok := c.at[of]; ok {
		c.list[i].text, c.list[i].line = min(c.list[i].text, label), min(c.list[i].line, line)
		return i
	}
	if len(c.list) == most {
		c.more = true
		return -1
	}
	i := len(c.list)
	c.at[of], c.list = i, append(c.list, class{text: label, line: line})
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
		}
	}
}

// Quality returns the counts.
func (c *Classes) Quality() TargetQuality {
	const most = 10 // enough to show that it is not a target
	target := c.schema.Target
	t := TargetQuality{Name: target.Name, Labels: map[string]int{}, More: c.more}
	t.Positive = target.Positive
	if numberLike(t.Positive) {
		t.Positive = c.schema.canonical(t.Positive)
	}
	slices.SortFunc(c.list, func(a, b class) int { return a.line - b.line })
	for _, o := range c.list {
		if o.count == 0 {
			continue
		}
		if len(t.Labels) == most {
			t.More = true
			break
		}
		if c.schema.canonical(o.text) == c.schema.canonical(target.Positive) {
			o.text = t.Positive
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
