// Package csvdata reads customers from CSV files, on all cores, and cleans them by the
// rules of package dataset. A reader of another format would stand beside it.
//
// A file is UTF-8 text by RFC 4180: commas, quotes where a cell needs them, one header
// line, columns in any order:
//
//	tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn
//	6,3,21.50,basic,AF,1
//
// An empty cell is missing. No other text is, not even NA, unless the schema names it.
package csvdata

import "strings"

// AppendRow appends a record of trimmed cells and its line end.
func AppendRow(b []byte, cells []string) []byte {
	for i, cell := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, quoted(cell)...)
	}
	return append(b, '\n')
}

// quoted returns a trimmed cell as it is written to a CSV file.
func quoted(text string) string {
	if !strings.ContainsAny(text, ",\"\r\n") && text != `\.` { // PostgreSQL takes \. for the end of a file
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}
