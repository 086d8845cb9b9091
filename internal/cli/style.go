package cli

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A Style is the look of words on a terminal. The words are complete without it.
type Style string

// Styles, as ANSI (ECMA-48) attributes. They are the terminal's own colours, so that they are
// readable on any background.
const (
	Plain  Style = ""
	Strong Style = "1"  // bold: a header, the current one
	Alert  Style = "31" // red: act
	Watch  Style = "33" // yellow: check
	Good   Style = "32" // green: passed
)

// Paint returns text with a style if w shows it, else text.
func Paint(w io.Writer, style Style, text string) string {
	if !coloured(w) {
		return text
	}
	return style.on(text)
}

func (s Style) on(text string) string {
	if s == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// coloured reports whether w is a terminal that shows colours, and the user wants them: see
// no-color.org.
func coloured(w io.Writer) bool {
	_, ok := terminal(w)
	return ok && os.Getenv("NO_COLOR") == "" && !strings.EqualFold(os.Getenv("TERM"), "dumb")
}

// terminal reports whether w is a terminal, and its width in columns, 0 if unknown.
func terminal(w io.Writer) (width int, ok bool) {
	if o, ok := w.(*output); ok {
		w = o.file
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, _ = term.GetSize(int(f.Fd())) // 0 after an error
	return width, true
}
