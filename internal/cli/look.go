package cli

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A Look is how words stand out on a terminal. The words say it all without one.
type Look string

// The looks, as ANSI (ECMA-48) attributes. The terminal's own colours are used, so
// that they are readable on any background.
const (
	Plain  Look = ""
	Strong Look = "1"  // bold: a header, the current one
	Alert  Look = "31" // red: act
	Watch  Look = "33" // yellow: look
	Good   Look = "32" // green: passed
)

// Paint returns text with a look if w shows it, else text.
func Paint(w io.Writer, look Look, text string) string {
	if !coloured(w) {
		return text
	}
	return look.on(text)
}

func (l Look) on(text string) string {
	if l == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(l) + "m" + text + "\x1b[0m"
}

// coloured tells whether w is a terminal that shows colours to somebody who wants
// them: see no-color.org.
func coloured(w io.Writer) bool {
	_, ok := terminal(w)
	return ok && os.Getenv("NO_COLOR") == "" && !strings.EqualFold(os.Getenv("TERM"), "dumb")
}

// terminal tells whether w is a terminal, and its width in columns, 0 if it does not say.
func terminal(w io.Writer) (width int, ok bool) {
	f := fileOf(w)
	if f == nil || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	return width, true
}
