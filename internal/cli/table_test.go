package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/jedib0t/go-pretty/v6/text"
)

// onTerminal returns what write writes to a pseudo-terminal of a width.
func onTerminal(t *testing.T, width uint16, write func(w io.Writer)) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no pseudo-terminals of this kind")
	}
	screen, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: width}); err != nil {
		t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(screen) // on Linux it ends with an error when the other side is closed
		shown <- string(b)
	}()
	write(tty)
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-shown:
		return strings.ReplaceAll(s, "\r\n", "\n")
	case <-time.After(10 * time.Second):
		t.Fatal("the terminal did not end")
		return ""
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func showColours(t *testing.T) {
	t.Helper()
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm-256color")
}

func verdicts(w io.Writer) {
	t := NewTable(w, 1, "column", "level")
	t.AppendRow([]any{"tenure", Cell{Good, "ok"}})
	t.AppendRow([]any{"region", Cell{Alert, "alert"}})
	t.AppendRow([]any{"number", 12})
	t.Render()
}

const plainVerdicts = "column  level\ntenure     ok\nregion  alert\nnumber     12\n"

func TestColoursAreForTerminals(t *testing.T) {
	showColours(t)
	got := onTerminal(t, 80, verdicts)
	for _, want := range []string{"\x1b[1mcolumn\x1b[0m", "\x1b[32mok\x1b[0m", "\x1b[31malert\x1b[0m"} {
		if !strings.Contains(got, want) {
			t.Errorf("the terminal shows %q, without %q", got, want)
		}
	}
	if bare := escapes.ReplaceAllString(got, ""); bare != plainVerdicts {
		t.Errorf("without styles the terminal shows\n%q, want\n%q", bare, plainVerdicts)
	}

	var piped bytes.Buffer
	verdicts(&piped)
	if piped.String() != plainVerdicts {
		t.Errorf("a buffer has %q, want %q", piped.String(), plainVerdicts)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	verdicts(w)
	w.Close()
	if got, _ := io.ReadAll(r); string(got) != plainVerdicts {
		t.Errorf("a pipe has %q, want %q", got, plainVerdicts)
	}
}

func TestColoursCanBeSwitchedOff(t *testing.T) {
	for _, c := range []struct{ noColor, term string }{{"1", "xterm"}, {"0", "xterm"}, {"", "dumb"}} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		t.Setenv("FORCE_COLOR", "1") // the library's own switch has no effect
		if got := onTerminal(t, 80, verdicts); got != plainVerdicts {
			t.Errorf("with NO_COLOR=%s TERM=%s the terminal shows %q, want %q", c.noColor, c.term, got, plainVerdicts)
		}
	}
}

// coefficients renders the widest table of all commands, with names of 60 characters.
func coefficients(w io.Writer, name func(int) string) {
	t := NewTable(w, 1, "column", "estimate", "std. error", "z", "odds ratio", "95 % interval", "per")
	t.Optional = []string{"std. error", "z"}
	for i := range 60 {
		t.AppendRow([]any{name(i), "-12.4586", "0.0740", "-6.20", "0.632", "0.547 to 0.731", "17.09"})
	}
	t.Render()
}

func TestNamesFitTheTerminal(t *testing.T) {
	showColours(t)
	for kind, name := range map[string]func(int) string{
		"long": func(i int) string {
			return "plan_of_the_customer=" + strings.Repeat("x", 37) +
				fmt.Sprintf("%02d", i)
		},
		"wide":      func(i int) string { return strings.Repeat("客户套餐", 8) + fmt.Sprintf("%02d", i) },
		"combining": func(i int) string { return strings.Repeat("e\u0301", 58) + fmt.Sprintf("%02d", i) },
		"hostile":   func(i int) string { return Printable(strings.Repeat("\x1b[2J", 15) + fmt.Sprintf("%02d", i)) },
	} {
		for _, width := range []int{80, 120} {
			shown := onTerminal(t, uint16(width), func(w io.Writer) { coefficients(w, name) })
			lines := strings.Split(strings.TrimSuffix(escapes.ReplaceAllString(shown, ""), "\n"), "\n")
			if len(lines) != 61 {
				t.Fatalf("%s names in %d columns: %d lines, want 61", kind, width, len(lines))
			}
			for i, line := range lines {
				n := text.StringWidth(line)
				if n != text.StringWidth(lines[0]) || n > width {
					t.Fatalf("%s names in %d columns: line %d has %d, the header %d: %q", kind, width, i, n,
						text.StringWidth(lines[0]), line)
				}
				if i > 0 && kind != "hostile" && !strings.Contains(line, fmt.Sprintf("%02d  ", i-1)) {
					t.Errorf("%s names in %d columns: the end of name %d is not in %q", kind, width, i-1, line)
				}
			}
			if strings.Contains(lines[0], "std. error") != (width == 120) {
				t.Errorf("%s names in %d columns: the header is %q", kind, width, lines[0])
			}
		}
	}
}

func TestNamesToCopyAreWrapped(t *testing.T) {
	showColours(t)
	name := "churn_model_" + strings.Repeat("v", 64) + "_20260101_120000.json"
	shown := onTerminal(t, 60, func(w io.Writer) {
		list := NewTable(w, 2, "", "model", "F1")
		list.Wrap = true
		list.AppendRow([]any{Cell{Strong, "*"}, Cell{Strong, name}, "0.7"})
		list.Render()
	})
	var joined strings.Builder
	for _, line := range strings.Split(escapes.ReplaceAllString(shown, ""), "\n")[1:] {
		if text.StringWidth(line) > 60 {
			t.Errorf("a line is wider than the terminal: %q", line)
		}
		line = strings.TrimSuffix(strings.TrimPrefix(line, "*"), "0.7")
		joined.WriteString(strings.TrimSpace(line))
	}
	if joined.String() != name {
		t.Errorf("the name is shown as %q, want %q", joined.String(), name)
	}
}

func TestShortenedNamesAreDistinct(t *testing.T) {
	showColours(t)
	shown := onTerminal(t, 30, func(w io.Writer) {
		list := NewTable(w, 1, "column", "estimate")
		for _, name := range []string{"PaymentMethod=Bank transfer (automatic)",
			"PaymentMethod=Credit card (automatic)", "PaymentMethod=Electronic cheque"} {
			list.AppendRow([]any{name, "-0.1206"})
		}
		list.Render()
	})
	want := `column                estimate
PaymentMethod=Bank     -0.1206
transfer (automatic)
PaymentMethod=Credit   -0.1206
card (automatic)
PaymentMet…ic cheque   -0.1206
`
	if got := escapes.ReplaceAllString(shown, ""); got != want {
		t.Errorf("the terminal shows\n%s\nwant\n%s", got, want)
	}
}

func TestShorten(t *testing.T) {
	check := func(in string, width int, want string) {
		t.Helper()
		got := shorten(in, width)
		if got != want {
			t.Errorf("shorten(%q, %d) = %q, want %q", in, width, got, want)
		}
		if text.StringWidth(got) > width {
			t.Errorf("shorten(%q, %d) = %q is %d wide", in, width, got, text.StringWidth(got))
		}
	}
	check("plan_type=premium", 9, "plan…mium")
	check("plan_type=premium", 8, "plan…ium")
	check("客户套餐客户", 9, "客户…客户")
	check("客户套餐客户", 8, "客户…户")
	check("e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301…e\u0301")
}

func TestWrap(t *testing.T) {
	check := func(in string, width int, want string) {
		t.Helper()
		if got := wrap(in, width); got != want {
			t.Errorf("wrap(%q, %d) = %q, want %q", in, width, got, want)
		}
	}
	check("abcdefgh", 3, "abc\ndef\ngh")
	check("region +0.14, tenure -0.06", 13, "region +0.14,\ntenure -0.06")
	check("region +0.14, tenure -0.06", 16, "region +0.14,\ntenure -0.06")
	check("a bcdefghij", 8, "a bcdefg\nhij")
	check("客户套餐", 5, "客户\n套餐")
	check("", 5, "")
}
