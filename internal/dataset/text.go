package dataset

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var returns = regexp.MustCompile(`\r+\n`)

// Trim returns a text as a CSV file keeps it: without white space around it, and
// without the \r before a line end, which a CSV reader drops.
func Trim(text string) string {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "\r\n") {
		return returns.ReplaceAllString(text, "\n")
	}
	return text
}

// Shorten cuts a long value for a message.
func Shorten(s string) string {
	const most = 60 // characters
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// FormatNumber writes a number as prepare does, without an exponent.
func FormatNumber(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// ParseNumber reads a finite decimal number. It rejects what strconv also accepts:
// NaN, infinities, hexadecimal numbers, and numbers that overflow.
func ParseNumber(s string) (float64, bool) {
	if x, ok := parseDecimal(s); ok {
		return x, true
	}
	if strings.ContainsFunc(s, func(c rune) bool { return !strings.ContainsRune("0123456789.+-eE", c) }) {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil
}

// parseDecimal reads short plain decimals, such as -12.50, which most files have.
func parseDecimal(s string) (float64, bool) {
	const most = 16 // digits and point: fewer than an int64 has
	digits := strings.TrimPrefix(s, "-")
	if len(digits) == 0 || len(digits) > most || digits[0] == '.' || digits[len(digits)-1] == '.' {
		return 0, false
	}
	n, point := uint64(0), len(digits)-1
	for i := range len(digits) {
		switch c := digits[i]; {
		case c >= '0' && c <= '9':
			n = 10*n + uint64(c-'0')
		case c == '.' && point == len(digits)-1:
			point = i
		default:
			return 0, false
		}
	}
	x, ok := Decimal(n, len(digits)-1-point)
	if len(digits) < len(s) {
		x = -x
	}
	return x, ok
}

// Decimal returns digits/10^places as strconv would, to the last bit: integers up to
// 2⁵³ and powers of ten up to 10¹⁵ are exact, so one division rounds correctly
// (Clinger 1990). It returns false beyond these.
func Decimal(digits uint64, places int) (float64, bool) {
	if digits > 1<<53 || places >= len(powersOfTen) {
		return 0, false
	}
	return float64(digits) / powersOfTen[places], true
}

var powersOfTen = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// Marks are the texts that mean missing, the empty one among them.
type Marks struct {
	texts   []string
	numbers []float64 // those that read as numbers
}

// NewMarks returns the given marks and the empty text.
func NewMarks(texts []string) Marks {
	m := Marks{texts: []string{""}}
	for _, t := range texts {
		t = Trim(t)
		m.texts = append(m.texts, t)
		if x, ok := ParseNumber(t); ok {
			m.numbers = append(m.numbers, x)
		}
	}
	return m
}

// Text reports whether a trimmed text means missing.
func (m *Marks) Text(text string) bool { return slices.Contains(m.texts, text) }

// Number reports whether a number means missing: -999.0 does where -999 is a mark.
func (m *Marks) Number(x float64) bool { return slices.Contains(m.numbers, x) }
