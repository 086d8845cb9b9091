// Package csvdata reads customers from CSV files, on all cores, and cleans them by the
// rules of package dataset. A reader of another format would be a package like this one.
//
// A file is UTF-8 text as defined by RFC 4180: commas, quotes where a cell needs them, one header
// line, columns in any order:
//
//	tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn
//	6,3,21.50,basic,AF,1
//
// An empty cell is missing. No other text is, not even NA, unless the schema names it.
package csvdata

import (
	"fmt"
	"io"
	"strings"
)

// A Source is the text of a table.
type Source struct {
	io.Reader          // UTF-8
	File      string   // names it in messages
	Size      int64    // of the file, if it is text; 0 is unknown
	Comma     byte     // between the cells; 0 is a comma
	Typed     []bool   // by column: not of texts, so that numbers are plain, and dates as in 2026-01-31
	Notes     []string // what was found in the file, for the person who gave it

	// Place returns the file of a line, and its number there; nil if File is the only one.
	Place func(line int) (file string, own int)
}

// Note adds a note.
func (s *Source) Note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// AppendRow appends a record of trimmed cells and its line end.
func AppendRow(b []byte, cells []string) []byte {
	for i, cell := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, quote(cell)...)
	}
	return append(b, '\n')
}

// quote returns a trimmed cell as it is written to a CSV file: in quotes if it needs them.
func quote(text string) string {
	if !strings.ContainsAny(text, ",\"\r\n") && text != `\.` { // \. alone ends the data of PostgreSQL's COPY
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}
