package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// A Table is plain: no lines, two spaces between its columns. On a terminal its header is
// bold, cells have their styles, and it is made to fit: first optional columns are left out,
// then long texts are shortened, or wrapped if two would look the same. Anywhere else
// everything is written in full.
type Table struct {
	Optional []string // headers of columns to leave out on a narrow terminal, in that order
	Wrap     bool     // wrap all long texts, which are to be copied

	w           io.Writer
	textColumns int
	rows        [][]Cell // the header first
}

// A Cell is text with a style.
type Cell struct {
	Style Style
	Text  string
}

// NewTable returns a table that renders to w. The first textColumns columns are aligned left,
// the others right.
func NewTable(w io.Writer, textColumns int, header ...any) *Table {
	t := &Table{w: w, textColumns: textColumns}
	t.AppendRow(header)
	for j := range t.rows[0] {
		t.rows[0][j].Style = Strong
	}
	return t
}

// AppendRow adds a row: strings and Cells, free of control characters (see [Printable]), or
// numbers. Cells that are missing at its end are empty.
func (t *Table) AppendRow(row []any) {
	columns := len(row)
	if len(t.rows) > 0 {
		columns = len(t.rows[0])
	}
	cells := make([]Cell, columns)
	for j, value := range row {
		cell, ok := value.(Cell)
		if !ok {
			cell.Text = fmt.Sprint(value)
		}
		cells[j] = cell
	}
	t.rows = append(t.rows, cells)
}

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
	rows, textColumns := t.rows, t.textColumns
	if width, _ := terminal(t.w); width > 0 {
		rows, textColumns = t.fit(width)
	}
	styled := coloured(t.w)
	for i, cells := range rows {
		row := make(table.Row, len(cells))
		for j, c := range cells {
			row[j] = c.Text
			if styled {
				lines := strings.Split(c.Text, "\n")
				for k := range lines {
					lines[k] = c.Style.on(lines[k])
				}
				row[j] = strings.Join(lines, "\n")
			}
		}
		if i == 0 {
			out.AppendHeader(row)
		} else {
			out.AppendRow(row)
		}
	}
	var right []table.ColumnConfig
	for j := textColumns; j < len(rows[0]); j++ {
		right = append(right, table.ColumnConfig{Number: j + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	out.SetColumnConfigs(right)
	out.Render()
}

// Widths, in columns of the terminal.
const (
	gap      = 2  // behind each column
	readable = 24 // optional columns are left out before a text is shortened below this
	leastFit = 8  // no text is made narrower
)

// fit returns the rows as a terminal of a width has room for them.
func (t *Table) fit(width int) (rows [][]Cell, textColumns int) {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		rows = append(rows, slices.Clone(row))
		for j, c := range row {
			widths[j] = max(widths[j], text.StringWidth(c.Text))
		}
	}
	textColumns = t.textColumns
	keep := readable
	if t.Wrap {
		keep = width // an unbroken name is worth more than a spare column
	}
	for _, spare := range t.Optional {
		j := slices.IndexFunc(rows[0], func(c Cell) bool { return c.Text == spare })
		if j < 0 || total(widths, textColumns, keep) <= width {
			continue
		}
		widths = slices.Delete(widths, j, j+1)
		for i, row := range rows {
			rows[i] = slices.Delete(row, j, j+1)
		}
		if j < textColumns {
			textColumns--
		}
	}
	narrow(widths, textColumns, width)
	for j := range textColumns {
		t.shortenColumn(rows[1:], j, widths[j])
	}
	return rows, textColumns
}

// total returns the width of columns with texts of at most keep.
func total(widths []int, textColumns, keep int) int {
	sum := -gap
	for j, n := range widths {
		if j < textColumns {
			n = min(n, keep)
		}
		sum += n + gap
	}
	return sum
}

// narrow shrinks the widest text column, the last of equal ones, until the columns fit or
// none can be narrower.
func narrow(widths []int, textColumns, width int) {
	for excess := total(widths, 0, 0) - width; excess > 0; excess-- {
		widest := -1
		for j, n := range widths[:textColumns] {
			if n > leastFit && (widest < 0 || n >= widths[widest]) {
				widest = j
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// shortenColumn shortens or wraps the texts of a column that are wider than width.
func (t *Table) shortenColumn(rows [][]Cell, column, width int) {
	var wide []*Cell
	full := map[string]string{} // the text by its short form; "" if several texts have that form
	for _, row := range rows {
		c := &row[column]
		if text.StringWidth(c.Text) <= width {
			continue
		}
		wide = append(wide, c)
		short := shorten(c.Text, width)
		if other, ok := full[short]; ok && other != c.Text {
			full[short] = ""
		} else {
			full[short] = c.Text
		}
	}
	for _, c := range wide {
		if short := shorten(c.Text, width); t.Wrap || full[short] == "" {
			c.Text = wrap(c.Text, width)
		} else {
			c.Text = short
		}
	}
}

const ellipsis = "…"

// shorten takes the middle out of a text that is wider than width: names of levels begin
// alike, and differ at the end.
func shorten(s string, width int) string {
	room := width - text.StringWidth(ellipsis)
	runes := []rune(s)
	head, tail, used := 0, len(runes), 0
	for head < tail && used+text.RuneWidth(runes[head]) <= (room+1)/2 {
		used += text.RuneWidth(runes[head])
		head++
	}
	for tail > head && used+text.RuneWidth(runes[tail-1]) <= room {
		tail--
		used += text.RuneWidth(runes[tail])
	}
	if tail == head {
		return s
	}
	for tail < len(runes) && text.RuneWidth(runes[tail]) == 0 { // a mark without its letter
		tail++
	}
	return string(runes[:head]) + ellipsis + string(runes[tail:])
}

// wrap cuts a text into lines of at most width, at a space if one is in the second half of the
// line, which it then replaces. The wrapping of go-pretty lets characters of double width
// extend over the edge.
func wrap(s string, width int) string {
	var lines []string
	for runes := []rune(s); ; {
		n, used := 0, 0
		for n < len(runes) && (n == 0 || used+text.RuneWidth(runes[n]) <= width) {
			used += text.RuneWidth(runes[n])
			n++
		}
		if n == len(runes) {
			return strings.Join(append(lines, string(runes)), "\n")
		}
		next := n
		for k := n; k > n/2; k-- {
			if runes[k] == ' ' {
				n, next = k, k+1
				break
			}
		}
		lines, runes = append(lines, string(runes[:n])), runes[next:]
	}
}
