package dataset

import (
	"errors"
	"iter"
	"math"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

var returns = regexp.MustCompile(`\r+\n`)

// Trim returns a text as a CSV file keeps it: without white space around it, and
// without the \r before a line end, which a CSV reader drops. Its characters are composed, in
// Unicode's normal form C, so that é is one text whether it is one character or an e and an accent.
func Trim(text string) string {
	text = norm.NFC.String(strings.TrimSpace(text))
	if strings.Contains(text, "\r\n") {
		return returns.ReplaceAllString(text, "\n")
	}
	return text
}

// Same reports whether two texts are one after Trim.
func Same(a, b string) bool { return a == b || Trim(a) == Trim(b) }

var errName = errors.New("a name must not be empty, begin or end with a space or a byte order mark, " +
	"nor have a \\r before a line end")

// ColumnName returns a name as the header of a CSV file keeps it: trimmed, and without
// a byte order mark, which belongs to the file.
func ColumnName(text string) string {
	return Trim(strings.TrimFunc(text, func(c rune) bool { return unicode.IsSpace(c) || c == '\ufeff' }))
}

// isName reports whether a column can have a name. Models of earlier versions have names that are not composed.
func isName(name string) bool { return name != "" && ColumnName(name) == norm.NFC.String(name) }

// looks returns a text as people see it: texts that look alike have one.
func looks(text string) string {
	return strings.Join(strings.Fields(lookalikes.Replace(strings.ToLower(Plain(text)))), " ")
}

// Plain returns a text without invisible characters, its letters of the usual width, its digits 0 to 9.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Cf, unicode.Variation_Selector):
			return -1
		case r == '٫':
			return '.'
		case r == '٬':
			return ','
		case unicode.Is(unicode.Nd, r): // each alphabet has its ten in a row
			zero := r
			for r-zero < 9 && unicode.Is(unicode.Nd, zero-1) {
				zero--
			}
			return '0' + r - zero
		}
		return r
	}, norm.NFKC.String(text))
}

// lookalikes replaces letters by Latin ones, and dashes (Unicode Technical Standard 39).
var lookalikes = strings.NewReplacer(append(strings.Split(
	"аaвbеeіiјjкkмmнhоoрpсcтtуyхxѕsԁd"+
		"αaβbεeιiκkμmνvοoρpτtυuχxςσ"+"ıi’'‐-‑-–-—-−-", ""), "ß", "ss", "i\u0307", "i")...)

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
	if x, ok := ParseDecimal(s); ok {
		return x, true
	}
	if strings.Trim(s, "0123456789.-+eE") != "" {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil
}

// ParseDecimal reads plain decimals, such as -12.50, which most files have. It returns false for any
// other text, numbers among them.
func ParseDecimal[T string | []byte](s T) (float64, bool) {
	const most = 19 // digits: as many as a uint64 always has
	digits := s
	if len(s) > 0 && s[0] == '-' {
		digits = s[1:]
	}
	if len(digits) == 0 || len(digits) > most+1 || digits[0] == '.' || digits[len(digits)-1] == '.' {
		return 0, false
	}
	n, point := uint64(0), len(digits)-1
	for i := 0; i < len(digits); i++ {
		switch c := digits[i]; {
		case c >= '0' && c <= '9':
			n = 10*n + uint64(c-'0')
		case c == '.' && point == len(digits)-1:
			point = i
			for ; len(digits)-i > 8; i += 8 {
				eight, ok := eightDigits(digits[i+1 : i+9])
				if !ok {
					break
				}
				n = 1e8*n + eight
			}
		default:
			return 0, false
		}
	}
	places := len(digits) - 1 - point
	if places == 0 && len(digits) > most {
		return 0, false
	}
	x, ok := Decimal(n, places)
	if len(digits) < len(s) {
		x = -x
	}
	return x, ok
}

// eightDigits reads eight digits as one word (Lemire 2022, "Number parsing at a gigabyte per second", section 6).
func eightDigits[T string | []byte](s T) (uint64, bool) {
	const each = 0x0101010101010101
	_ = s[7]
	word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56 // one load
	if word&(0xf0*each)|(word+0x06*each)&(0xf0*each)>>4 != 0x33*each {
		return 0, false
	}
	word -= '0' * each
	word = 10*word + word>>8 // pairs, in every other byte
	const mask = 0x000000ff000000ff
	return (word&mask*(100+1e6<<32) + word>>16&mask*(1+1e4<<32)) >> 32, true
}

// Decimal returns digits/10^places as strconv would, to the last bit. It returns false for more than
// 19 places.
//
// Integers up to 2⁵³ and powers of ten up to 10²² are exact, so one division rounds correctly
// (Clinger 1990). Of more digits the integer quotient has 64 bits, the last one set if there is a
// rest, and is rounded once.
func Decimal(digits uint64, places int) (float64, bool) {
	switch {
	case places >= len(powersOfTen):
		return 0, false
	case digits <= 1<<53:
		return float64(digits) / powersOfTen[places], true
	}
	power := uint64(powersOfTen[places])
	up, by := bits.LeadingZeros64(digits), bits.LeadingZeros64(power)
	n, low, d, exponent := digits<<up, uint64(0), power<<by, by-up-64
	if n >= d {
		n, low, exponent = n>>1, n<<63, exponent+1
	}
	quotient, rest := bits.Div64(n, low, d) // at least 2⁶³, since n/d is at least a half
	if rest != 0 {
		quotient |= 1
	}
	return float64(quotient) * math.Float64frombits(uint64(1023+exponent)<<52), true // times 2^exponent
}

var powersOfTen = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
	1e16, 1e17, 1e18, 1e19}

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

// Numbers returns the numbers that mean missing.
func (m *Marks) Numbers() []float64 { return m.numbers }

// distance is the Levenshtein distance of two names in bytes, at most 64: longer names are
// as far from each other as names can be, since the time grows with their product.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := UpTo[int](len(b) + 1)
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Nearest returns the most similar of some names, whatever their case; "" if none is similar.
func Nearest(name string, names iter.Seq[string]) (found string) {
	name = strings.ToLower(name)
	best := 1 + len(name)/3 // a third of the letters may differ
	for other := range names {
		if d := distance(name, strings.ToLower(other)); d <= best && d < len(name) {
			best, found = d-1, other
		}
	}
	return found
}

func allDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// cutSign removes the sign of a number, or the brackets of a negative one as in accounts.
func cutSign(text string) (rest string, negative bool) {
	if strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")") {
		return strings.TrimSpace(text[1 : len(text)-1]), true
	}
	for _, sign := range []string{"-", "−", "+"} {
		if rest, found := strings.CutPrefix(text, sign); found {
			return strings.TrimSpace(rest), sign != "+"
		}
		if rest, found := strings.CutSuffix(text, sign); found && sign != "+" { // as in accounts, too
			return strings.TrimSpace(rest), true
		}
	}
	return text, false
}

// clock is a duration: all but its first part are below 60.
var clock = regexp.MustCompile(`^([0-9]{1,6}):([0-5][0-9])(?::([0-5][0-9]))?$`)

// CutUnit divides a cell into a number, which begins and ends with a digit, a sign or a bracket,
// and its unit. Before a number stand currencies alone: C17 is no number. Of a duration it is a whole number.
func CutUnit(text string) (number, unit string) {
	if parts := clock.FindStringSubmatch(text); parts != nil {
		total := 0
		for _, part := range parts[1:] {
			if part != "" {
				n, _ := strconv.Atoi(part)
				total = 60*total + n
			}
		}
		return strconv.Itoa(total), map[bool]string{true: Minutes, false: Seconds}[parts[3] == ""]
	}
	inner, negative := cutSign(text)
	part := func(r rune) bool { return r >= '0' && r <= '9' || strings.ContainsRune(".,'’-−+()", r) }
	short := func(at int) bool { // the point of an abbreviation, such as Rs. and min.
		before, _ := utf8.DecodeLastRuneInString(inner[:max(at, 0)])
		return at > 0 && inner[at] == '.' && unicode.IsLetter(before)
	}
	at, end := strings.IndexFunc(inner, part), strings.LastIndexFunc(inner, part)
	if short(at) {
		at = strings.IndexAny(inner, "0123456789")
	}
	for short(end) {
		end = strings.LastIndexFunc(inner[:end], part)
	}
	if at < 0 || end < at {
		return text, ""
	}
	_, size := utf8.DecodeRuneInString(inner[end:])
	before, after := strings.TrimSpace(inner[:at]), strings.TrimSpace(inner[end+size:])
	const most = 12 // bytes
	switch {
	case before == "" && after == "":
		return text, ""
	case before != "" && after != "" || len(before)+len(after) > most || !isUnit(before, after):
		return text, ""
	}
	number = strings.TrimSpace(inner[at : end+size])
	if negative {
		number = "-" + number
	}
	return number, before + after
}

// isUnit reports whether a text before or behind a number is a unit.
func isUnit(before, after string) bool {
	currency := func(text string) bool { // a symbol, alone or as in US$, or a code such as CHF, or kr.; or a percent sign
		short := []string{"Fr", "Kr", "kr", "Kč", "Rp", "Rs", "zł", "%"}
		return slices.Contains(short, strings.TrimSuffix(text, ".")) ||
			strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Sc, r) }) ||
			len(text) == 3 && strings.ToUpper(text) == text && unicode.IsLetter(rune(text[0]))
	}
	if before != "" {
		return currency(before)
	}
	return !strings.ContainsFunc(after, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.Is(unicode.Sc, r) && !strings.ContainsRune("%‰/.²³°", r)
	})
}
