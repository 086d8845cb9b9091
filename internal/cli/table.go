package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// A Table is plain: no lines, two spaces between its columns. On a terminal its
// header is bold, cells have their looks, and it is made to fit: first columns are
// left out that may be, then long texts are shortened, or wrapped where two would
// look the same. Anywhere else everything is written as it is.
type Table struct {
	Spare []string // headers of columns that a narrow terminal may go without, the first to go first
	Wrap  bool     // all long texts are wrapped, since somebody will copy them

	w           io.Writer
	textColumns int
	header      []any
	rows        [][]any
}

// A Cell is text with a look.
type Cell struct {
	Look Look
	Text string
}

// String returns the text without its look.
func (c Cell) String() string { return c.Text }

// NewTable returns a table that renders to w. The first textColumns columns are
// aligned left, the others right.
func NewTable(w io.Writer, textColumns int, header ...any) *Table {
	return &Table{w: w, textColumns: textColumns, header: header}
}

// AppendRow adds a row: strings and Cells, free of control characters (see
// [Printable]), or numbers.
func (t *Table) AppendRow(row []any) { t.rows = append(t.rows, row) }

// Render writes the table.
func (t *Table) Render() {
	out := table.NewWriter()
	out.SetOutputMirror(t.w)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	out.SetStyle(style)
	out.SuppressTrailingSpaces()
	header, rows, textColumns := t.header, t.rows, t.textColumns
	if width, ok := terminal(t.w); ok {
		header, rows, textColumns = t.fit(width)
		if coloured(t.w) {
			header, rows = painted(header, rows)
		}
	}
	out.AppendHeader(header)
	for _, row := range rows {
		out.AppendRow(row)
	}
	var right []table.ColumnConfig
	for i := textColumns; i < len(header); i++ {
		right = append(right, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	out.SetColumnConfigs(right)
	out.Render()
}

// Widths, in columns of the terminal.
const (
	gap      = 2  // behind each column
	readable = 24 // a text that is not wrapped keeps that much before a column is left out for it
	leastFit = 8  // no text is made narrower
)

// fit returns the table as a terminal of a width has room for it; 0 is any. Cells
// that are not Cells become strings.
func (t *Table) fit(width int) (header []any, rows [][]any, textColumns int) {
	header = slices.Clone(t.header)
	for _, row := range t.rows {
		rows = append(rows, slices.Clone(row))
	}
	textColumns = t.textColumns
	if width == 0 {
		return header, rows, textColumns
	}
	widths := make([]int, len(header))
	for j := range header {
		widths[j] = cellWidth(header[j])
		for _, row := range rows {
			if j < len(row) {
				widths[j] = max(widths[j], cellWidth(row[j]))
			}
		}
	}
	keep := readable
	if t.Wrap {
		keep = width // a name in one piece is worth more than a spare column
	}
	for _, spare := range t.Spare {
		j := slices.Index(header, any(spare))
		if j < 0 || !tooWide(widths, textColumns, keep, width) {
			continue
		}
		header, widths = slices.Delete(header, j, j+1), slices.Delete(widths, j, j+1)
		for i, row := range rows {
			if j < len(row) {
				rows[i] = slices.Delete(row, j, j+1)
			}
		}
		if j < textColumns {
			textColumns--
		}
	}
	t.narrow(rows, narrowed(widths, textColumns, width), textColumns)
	return header, rows, textColumns
}

// tooWide tells whether columns are too wide even if each text had only keep.
func tooWide(widths []int, textColumns, keep, width int) bool {
	total := -gap
	for j, n := range widths {
		if j < textColumns {
			n = min(n, keep)
		}
		total += n + gap
	}
	return total > width
}

// narrowed takes from the widest text, of equal ones the last, again and again, until
// the columns fit.
func narrowed(widths []int, textColumns, width int) []int {
	total := -gap
	for _, n := range widths {
		total += n + gap
	}
	for ; total > width; total-- {
		widest := -1
		for j := range textColumns {
			if widths[j] > leastFit && (widest < 0 || widths[j] >= widths[widest]) {
				widest = j
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// narrow makes the texts of the rows fit their columns.
func (t *Table) narrow(rows [][]any, widths []int, textColumns int) {
	for j := range textColumns {
		shortened := map[string]string{} // to what it is short for; "" where that is not one text
		for _, row := range rows {
			if j < len(row) && cellWidth(row[j]) > widths[j] {
				whole := fmt.Sprint(row[j])
				short := shorten(whole, widths[j])
				if have, ok := shortened[short]; ok && have != whole {
					whole = ""
				}
				shortened[short] = whole
			}
		}
		for _, row := range rows {
			if j >= len(row) || cellWidth(row[j]) <= widths[j] {
				continue
			}
			cell, ok := row[j].(Cell)
			if !ok {
				cell.Text = fmt.Sprint(row[j])
			}
			if short := shorten(cell.Text, widths[j]); t.Wrap || shortened[short] == "" {
				cell.Text = wrap(cell.Text, widths[j])
			} else {
				cell.Text = short
			}
			row[j] = cell
		}
	}
}

// painted gives the header and the Cells their looks, a line at a time.
func painted(header []any, rows [][]any) ([]any, [][]any) {
	head := make([]any, len(header))
	for j, h := range header {
		head[j] = Strong.on(fmt.Sprint(h))
	}
	for _, row := range rows {
		for j := range row {
			if c, ok := row[j].(Cell); ok {
				lines := strings.Split(c.Text, "\n")
				for k := range lines {
					lines[k] = c.Look.on(lines[k])
				}
				row[j] = strings.Join(lines, "\n")
			}
		}
	}
	return head, rows
}

func cellWidth(cell any) int { return text.StringWidth(fmt.Sprint(cell)) }

const ellipsis = "…"

// shorten takes the middle out of a text that is wider than width: the names of
// levels begin alike, and differ at the end. Wide characters stay whole, and marks
// stay with what they are on.
func shorten(s string, width int) string {
	room := width - text.StringWidth(ellipsis)
	runes := []rune(s)
	head, tail, used := 0, len(runes), 0
	for k := 0; head < tail; k++ {
		if k%2 == 0 {
			n := 1
			for head+n < tail && text.RuneWidth(runes[head+n]) == 0 {
				n++
			}
			part := text.StringWidth(string(runes[head : head+n]))
			if used+part > room {
				break
			}
			head, used = head+n, used+part
			continue
		}
		n := 1
		for tail-n > head && text.RuneWidth(runes[tail-n]) == 0 {
			n++
		}
		part := text.StringWidth(string(runes[tail-n : tail]))
		if used+part > room {
			break
		}
		tail, used = tail-n, used+part
	}
	if head >= tail {
		return s
	}
	return string(runes[:head]) + ellipsis + string(runes[tail:])
}

// wrap cuts a text into lines of at most width, at a space if one is in the second
// half of the line, which it then replaces. The table library's own lets wide
// characters reach over the edge.
func wrap(s string, width int) string {
	var lines []string
	line, used := []rune(nil), 0
	for _, c := range s {
		n := text.RuneWidth(c)
		if len(line) > 0 && used+n > width {
			cut, next := len(line), len(line)
			for k := len(line) - 1; k > len(line)/2; k-- {
				if line[k] == ' ' {
					cut, next = k, k+1
					break
				}
			}
			if c == ' ' && next == cut { // the space is the cut
				lines, line, used = append(lines, string(line)), line[:0], 0
				continue
			}
			lines = append(lines, string(line[:cut]))
			line = append([]rune(nil), line[next:]...)
			used = text.StringWidth(string(line))
		}
		line, used = append(line, c), used+n
	}
	return strings.Join(append(lines, string(line)), "\n")
}
