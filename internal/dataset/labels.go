package dataset

import "strconv"

// A label is what a text of the target stands for.
type label struct {
	csv      string // as prepare writes it
	same     bool   // csv is the text as it was read
	missing  bool
	positive bool
	class    int // position in the classes
}

// labels reads the cells of the target.
type labels struct {
	schema *Schema
	texts  memo
	known  []label // by number of the text
	one    label   // the last that is not among them

	classes []class
	at      map[string]int // position in classes, by text
	more    bool           // there are more classes than are counted
}

// A class is a value of the target; 1 and 1.0 are one where the positive value is a number.
type class struct {
	text  string
	line  int // the first
	count int
}

func (l *labels) read(text []byte, line int) *label {
	if i := l.texts.find(text); i >= 0 {
		return &l.known[i]
	}
	found := trimmed(string(text))
	l.one = label{csv: quoted(found), positive: l.schema.positive(found)}
	l.one.same = l.one.csv == string(text)
	_, l.one.missing = l.schema.missing[found]
	l.one.class = l.class(l.schema.canonical(found), line)
	if i := l.texts.add(text); i >= 0 {
		l.known = append(l.known, l.one)
	}
	return &l.one
}

// class returns a class's position, or −1 for one too many.
func (l *labels) class(text string, line int) int {
	const most = 1000 // a target has two
	i, ok := l.at[text]
	switch {
	case ok:
		return i
	case len(l.classes) == most:
		l.more = true
		return -1
	case l.at == nil:
		l.at = map[string]int{}
	}
	i = len(l.classes)
	l.at[text], l.classes = i, append(l.classes, class{text, line, 0})
	return i
}

func (l *labels) count(found *label) {
	if found.class >= 0 {
		l.classes[found.class].count++
	}
}

// merge adds what another worker counted.
func (l *labels) merge(m *labels) {
	l.more = l.more || m.more
	for _, c := range m.classes {
		if i := l.class(c.text, c.line); i >= 0 {
			l.classes[i].count += c.count
			l.classes[i].line = min(l.classes[i].line, c.line)
		}
	}
}

// positive tells whether a label is the target's positive value.
func (s *Schema) positive(label string) bool {
	want, numeric := parseNumber(s.Target.Positive)
	if numeric {
		x, ok := parseNumber(label)
		return ok && x == want
	}
	return label == s.Target.Positive
}

// canonical lets 1 and 1.0 be one label where labels are numbers.
func (s *Schema) canonical(label string) string {
	if _, numeric := parseNumber(s.Target.Positive); numeric {
		if x, ok := parseNumber(label); ok {
			return strconv.FormatFloat(x+0, 'g', -1, 64) // −0 is 0
		}
	}
	return label
}
