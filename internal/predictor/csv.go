package predictor

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"churn/internal/filedata"
	"churn/internal/scoring"
)

// readCSV reads customers from CSV. The header names the columns: features,
// request_id, and those that the schema ignores, the target among them.
func readCSV(body []byte, b *batch) error {
	in, header, err := b.openCSV(body)
	if err != nil {
		return err
	}
	columns := b.columns("header", header)
	if err := b.err(); err != nil {
		return err
	}
	for {
		record, err := nextRecord(in)
		if err == io.EOF {
			return b.err()
		}
		if err != nil {
			return csvError(err)
		}
		if err := b.begin(); err != nil {
			return err
		}
		for k, cell := range record {
			switch columns[k] {
			case columnRequestID:
				b.setRequestID(strings.Clone(cell))
			case columnSkipped:
			default:
				b.setCell(columns[k], cell)
			}
		}
		b.end()
	}
}

// openCSV returns a reader of a CSV body behind its header, and the header. Encoding and delimiter
// are found as prepare finds them.
func (b *batch) openCSV(body []byte) (in *csv.Reader, header []string, err error) {
	const decoded = 6 // times a body: up to three bytes for one, in memory that grows
	if !utf8.Valid(body) {
		if b.spend(decoded * len(body)); b.full != nil {
			return nil, nil, b.full
		}
	}
	text, comma, guessed, err := filedata.Decode(body)
	if err != nil || !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, nil, shape([]any{"body"}, "not CSV: neither UTF-8, UTF-16 with a byte order mark nor Windows-1252: "+
			"save it as CSV in UTF-8", "value_error.csv")
	}
	b.guessed = guessed
	if err := b.spendWidest(text, comma); err != nil {
		return nil, nil, err
	}
	in = csv.NewReader(bytes.NewReader(text))
	in.Comma, in.ReuseRecord = rune(comma), true
	record, err := in.Read()
	if err != nil {
		return nil, nil, csvError(err)
	}
	seen := make(map[string]bool, len(record))
	for i, name := range record {
		name = strings.TrimSpace(name)
		place := "#" + strconv.Itoa(i+1) // as prepare calls a column without a name, and before a name that is there twice
		if again := strings.TrimSpace(place + " " + name); (name == "" || seen[name]) &&
			(b.schema.Skips(again) || b.schema.Skips(place)) {
			name = again
		}
		seen[name] = true
		header = append(header, name)
	}
	return in, header, nil
}

// nextRecord reads a line. As in prepare, lines of nothing but delimiters do not count.
func nextRecord(in *csv.Reader) (record []string, err error) {
	for {
		record, err = in.Read()
		filled := func(cell string) bool { return strings.TrimSpace(cell) != "" }
		if err != nil || len(record) == 1 || slices.ContainsFunc(record, filled) {
			return record, err
		}
	}
}

// spendWidest counts the memory for the longest record of a CSV file, which encoding/csv
// holds three times, with 30 bytes for each cell.
func (b *batch) spendWidest(body []byte, comma byte) error {
	var quoted bool
	var start, cells, longest int
	for i, c := range body {
		switch {
		case c == '"':
			quoted = !quoted
		case c == comma && !quoted:
			if cells++; cells >= maxColumns {
				return checkCount(cells+1, "header")
			}
		case c == '\n' && !quoted:
			longest = max(longest, i-start)
			start, cells = i, 0
		}
	}
	b.spend(4 * max(longest, len(body)-start))
	return b.err()
}

func csvError(err error) error {
	if err == io.EOF {
		return shape([]any{"body"}, "the body is empty: it needs a header line", "value_error.missing")
	}
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return shape([]any{"body", parse.StartLine}, "not CSV: "+parse.Err.Error(), "value_error.csv")
	}
	return err
}

// encodeCSV writes the records as CSV with a header line; with explanations a
// column for the base and one for each feature and pair.
func encodeCSV(text *bufio.Writer, b *batch, explain bool) {
	m, w := b.snapshot.model, csv.NewWriter(text)
	defer w.Flush()
	cells := []string{"request_id", "prediction", "probability", "threshold", "model_version", "warnings"}
	if explain {
		cells = append(cells, "base")
		for _, name := range m.Contributors() {
			cells = append(cells, "contribution:"+name)
		}
	}
	err := w.Write(cells)
	for i := 0; i < len(b.rows) && err == nil; i++ {
		giveWay(i)
		r := &b.rows[i]
		cells = append(cells[:0], r.requestID, strconv.Itoa(r.Prediction()), strconv.FormatFloat(r.Probability, 'f', 6, 64),
			shortest(m.Threshold), b.snapshot.name, strings.Join(r.Warnings, "; "))
		if explain {
			x := m.Explain(r.values)
			cells = append(cells, shortest(x.Base))
			for _, c := range x.Contributions {
				cells = append(cells, shortest(c))
			}
		}
		err = w.Write(cells)
	}
}

// writeList writes the rows of a CSV file with their scores, and counts those with a warning in the
// header X-Rows-With-Warnings.
func writeList(h http.Header, text *bufio.Writer, list *scoring.List, in *csv.Reader, b *batch) {
	m := b.snapshot.model
	ranked, warned := make([]float64, len(b.rows)), 0
	for i := range b.rows {
		giveWay(i)
		score := m.Score(b.rows[i].values)
		if ranked[i] = -score.Probability; len(score.Warnings) > 0 {
			warned++
		}
	}
	slices.Sort(ranked) // the highest probability first
	h.Set("X-Rows-With-Warnings", strconv.Itoa(warned))
	text.Write(list.Head())
	var cells [][]byte
	for i := range b.rows {
		giveWay(i)
		record, err := nextRecord(in)
		if err != nil {
			return // it was read before
		}
		cells = cells[:0]
		for _, cell := range record {
			cells = append(cells, []byte(cell))
		}
		score := m.Score(b.rows[i].values)
		above, _ := slices.BinarySearch(ranked, -score.Probability)
		if _, err := text.Write(list.Append(text.AvailableBuffer(), cells, b.rows[i].values, score, above+1)); err != nil {
			return
		}
	}
}

func shortest(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
