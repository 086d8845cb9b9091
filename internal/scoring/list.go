package scoring

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/metric"

	"github.com/go-json-experiment/json/jsontext"
)

// write reads the file again and writes the list.
func (s *scorer) write(ctx context.Context, to, bad io.Writer) error {
	s.describe()
	out := bufio.NewWriterSize(to, 1<<20)
	left := bufio.NewWriter(bad)
	var best []ranked
	_, err := s.read(ctx, "writing", csvdata.RowReader{
		Bind: func(header []string) error {
			if name := s.taken(); name != "" {
				return fmt.Errorf("%s has a column %s already: name the columns to keep with --keep", s.file.Name, name)
			}
			out.Write(s.headLine()) // an error comes again
			if s.result.Bad > 0 {
				cells := make([][]byte, len(header))
				for i, name := range header {
					cells[i] = []byte(name)
				}
				left.Write(s.appendRejected(s.mark(), cells))
			}
			return nil
		},
		Row: s.row,
		Bad: func(r *csvdata.Row, out []byte) []byte { return s.appendRejected(out, r.Cells) },
		Each: func(rows, badRows []byte, n int) error {
			if _, err := left.Write(badRows); err != nil {
				return err
			}
			if s.Top > 0 {
				best = cut(best, rows)
				return nil
			}
			_, err := out.Write(rows)
			return err
		},
	})
	if err != nil {
		return err
	}
	s.countListed()
	if s.Top > 0 {
		slices.SortStableFunc(best, func(a, b ranked) int { return int(b.bin) - int(a.bin) })
		best = best[:min(len(best), s.Top)]
		s.result.Listed, s.result.Positive = len(best), 0
		for _, r := range best {
			s.result.Positive += r.positive
			out.Write(r.line)
		}
	}
	return cmp.Or(left.Flush(), out.Flush())
}

// countListed counts the rows of a list of all.
func (s *scorer) countListed() {
	s.result.Listed, s.result.Positive = s.result.Rows, s.all.positive
	if s.Capacity == 0 {
		return
	}
	s.result.Positive = 0
	for bin, n := range s.all.bins {
		if s.above[bin] < s.Capacity {
			s.result.Positive += int(n)
		}
	}
	if more := s.result.Positive - s.Capacity; more > 0 {
		s.warn("%d customers more than --capacity %d are marked: their probability equals that of the last", more, s.Capacity)
	}
}

// A ranked line of the list.
type ranked struct {
	bin      int32
	positive int
	line     []byte
}

const rankedHead = 9 // bytes before a line with --top: its bin, its length, and whether it is positive

// cut appends rows to best, each without its head.
func cut(best []ranked, rows []byte) []ranked {
	rows = bytes.Clone(rows)
	for len(rows) > 0 {
		end := rankedHead + int(binary.LittleEndian.Uint32(rows[4:]))
		best = append(best, ranked{
			bin: int32(binary.LittleEndian.Uint32(rows)), positive: int(rows[8]), line: rows[rankedHead:end],
		})
		rows = rows[end:]
	}
	return best
}

// describe sets what is the same in all lines.
func (s *scorer) describe() {
	s.prefix = strings.TrimSuffix(s.model.NamePrefix(), "model")
	s.names = s.model.Contributors()
	comma := func(f dataset.Feature) bool { return f.Decimal == "," }
	if slices.ContainsFunc(s.model.Schema.Features, comma) {
		s.point = ","
	}
	for j := range s.model.Schema.Features {
		f := &s.model.Schema.Features[j]
		average := ""
		if n := s.model.Reference.Columns[f.Name].Numbers; n != nil {
			average = ", against " + s.number(j, n.Mean) + " on average"
		}
		s.averages = append(s.averages, average)
	}
	if s.Format == Excel { // which separates by semicolons where the decimal mark is a comma
		s.comma = map[string]byte{".": ',', ",": ';'}[s.point]
	}
}

// added are the names of the columns that the list adds to the file's.
func (s *scorer) added() []string {
	names := []string{s.prefix + "rank", s.prefix + "probability", s.prefix + "predicted", s.prefix + "decile"}
	if s.Format == NDJSON {
		return append(names, "reasons")
	}
	for i := range s.Reasons {
		names = append(names, "reason_"+strconv.Itoa(i+1))
	}
	return names
}

// taken returns the name of a column that is added, and which one of the file has in the list; "" if none has.
func (s *scorer) taken() string {
	for _, name := range s.added() {
		if slices.ContainsFunc(s.kept, func(at int) bool { return s.header[at] == name }) {
			return name
		}
	}
	return ""
}

func (s *scorer) headLine() (line []byte) {
	if s.Format == NDJSON {
		return nil
	}
	line = s.mark()
	for _, at := range s.kept {
		line = append(s.appendCell(line, []byte(s.header[at])), s.comma)
	}
	return s.endLine(append(line, strings.Join(s.added(), string(s.comma))...))
}

// mark returns the byte order mark by which spreadsheets know UTF-8.
func (s *scorer) mark() []byte {
	if s.Format == Excel {
		return []byte("\xef\xbb\xbf")
	}
	return nil
}

func (s *scorer) endLine(line []byte) []byte {
	if s.Format == Excel {
		line = append(line, '\r')
	}
	return append(line, '\n')
}

// row appends a customer's line, with --top behind a head, and only if it may be in the list.
func (s *scorer) row(r *csvdata.Row, out []byte) []byte {
	score := s.model.Score(r.Values)
	bin := binOf(score.Probability)
	above := s.above[bin]
	if s.Top > 0 && above >= s.Top {
		return out
	}
	positive := score.Churn
	if s.Capacity > 0 {
		positive = above < s.Capacity
	}
	start := len(out)
	if s.Top > 0 {
		out = append(out, make([]byte, rankedHead)...)
	}
	if s.Format == NDJSON {
		out = s.appendObject(out, r, score.Probability, above+1, positive)
	} else {
		out = s.appendLine(out, r, score.Probability, above+1, positive)
	}
	if s.Top > 0 {
		head := out[start:]
		binary.LittleEndian.PutUint32(head, uint32(bin))
		binary.LittleEndian.PutUint32(head[4:], uint32(len(head)-rankedHead))
		head[8] = byte(metric.Indicator(positive))
	}
	return out
}

// decile is 1 for the tenth of the customers with the highest probabilities.
func (s *scorer) decile(rank int) int64 { return int64(1 + 10*(rank-1)/s.result.Rows) }

func (s *scorer) appendLine(out []byte, r *csvdata.Row, p float64, rank int, positive bool) []byte {
	for _, at := range s.kept {
		out = append(s.appendCell(out, s.cell(r.Cells, at)), s.comma)
	}
	out = append(strconv.AppendInt(out, int64(rank), 10), s.comma)
	at := len(out)
	out = strconv.AppendFloat(out, p, 'f', 6, 64)
	if s.point == "," {
		out[at+1] = ','
		if s.comma == ',' {
			out = append(out[:at], `"`+string(out[at:])+`"`...)
		}
	}
	out = append(out, s.comma, '0'+byte(metric.Indicator(positive)), s.comma)
	out = strconv.AppendInt(out, s.decile(rank), 10)
	n := 0
	for reason := range s.reasons(r) {
		out = s.appendCell(append(out, s.comma), reason)
		n++
	}
	for ; n < s.Reasons; n++ {
		out = append(out, s.comma)
	}
	return s.endLine(out)
}

// cell returns a cell of the file with the list's decimal mark.
func (s *scorer) cell(cells [][]byte, at int) []byte {
	if s.point == "," && at < len(s.typed) && s.typed[at] {
		if _, number := dataset.ParseNumber(string(cells[at])); number {
			return bytes.Replace(cells[at], []byte{'.'}, []byte{','}, 1)
		}
	}
	return cells[at]
}

// appendRejected appends a row that cannot be scored, as the list has those that can.
func (s *scorer) appendRejected(out []byte, cells [][]byte) []byte {
	for at := range cells {
		if at > 0 {
			out = append(out, s.comma)
		}
		out = s.appendCell(out, s.cell(cells, at))
	}
	return s.endLine(out)
}

// appendCell appends a cell, in quotes if it needs them.
func (s *scorer) appendCell(out, cell []byte) []byte {
	cell = bytes.TrimSpace(cell)
	if s.Format == Excel && isFormula(cell) {
		cell = append([]byte{'\''}, cell...)
	}
	if bytes.IndexByte(cell, s.comma) < 0 && bytes.IndexByte(cell, '"') < 0 && bytes.IndexByte(cell, '\n') < 0 &&
		bytes.IndexByte(cell, '\r') < 0 {
		return append(out, cell...)
	}
	out = append(out, '"')
	out = append(out, bytes.ReplaceAll(cell, []byte{'"'}, []byte{'"', '"'})...)
	return append(out, '"')
}

// isFormula reports whether a spreadsheet would take a cell for a formula: one that begins as such,
// and is no number.
func isFormula(cell []byte) bool {
	if len(cell) == 0 || bytes.IndexByte([]byte("=+-@"), cell[0]) < 0 {
		return false
	}
	number, _ := dataset.CutUnit(string(cell))
	return strings.Trim(number, "0123456789., \u00a0\u202f'-+") != "" || len(cell) == 1
}

func (s *scorer) appendObject(out []byte, r *csvdata.Row, p float64, rank int, positive bool) []byte {
	out = append(out, '{')
	for _, at := range s.kept {
		out, _ = jsontext.AppendQuote(out, s.header[at]) // it is UTF-8
		out, _ = jsontext.AppendQuote(append(out, ':'), bytes.TrimSpace(r.Cells[at]))
		out = append(out, ',')
	}
	out = strconv.AppendInt(append(out, `"`+s.prefix+`rank":`...), int64(rank), 10)
	out = strconv.AppendFloat(append(out, `,"`+s.prefix+`probability":`...), p, 'f', 6, 64)
	out = append(append(out, `,"`+s.prefix+`predicted":`...), '0'+byte(metric.Indicator(positive)))
	out = strconv.AppendInt(append(out, `,"`+s.prefix+`decile":`...), s.decile(rank), 10)
	out = append(out, `,"reasons":[`...)
	for reason := range s.reasons(r) {
		out, _ = jsontext.AppendQuote(out, reason)
		out = append(out, ',')
	}
	return append(bytes.TrimSuffix(out, []byte{','}), "]}\n"...)
}

// reasons yields what raises the customer's log-odds most above the average customer's, in words:
//
//	num_complaints 5, against 1.2 on average: +0.80
func (s *scorer) reasons(r *csvdata.Row) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if s.Reasons == 0 {
			return
		}
		w := s.worker(r.Worker)
		if w.explain == nil {
			w.explain = s.model.Explainer()
		}
		x := w.explain(r.Values).Contributions
		for range s.Reasons {
			best := 0
			for j := range x {
				if x[j] > x[best] {
					best = j
				}
			}
			const least = 0.005 // +0.00 is no reason
			if x[best] < least {
				return
			}
			w.reason = s.appendReason(w.reason[:0], r, best, x[best])
			if x[best] = 0; !yield(w.reason) {
				return
			}
		}
	}
}

func (s *scorer) appendReason(b []byte, r *csvdata.Row, j int, contribution float64) []byte {
	b = append(b, s.names[j]...)
	if j < len(r.Values) {
		b = append(b, ' ')
		switch v := r.Values[j]; {
		case v.Missing:
			b = append(b, "missing"...)
		case v.Level:
			b = append(b, v.Text...)
		default:
			b = append(append(b, s.number(j, v.Number)...), s.averages[j]...)
		}
	}
	b = append(b, ": +"...)
	b = strconv.AppendFloat(b, contribution, 'f', 2, 64)
	if s.point == "," {
		b[bytes.LastIndexByte(b, '.')] = ','
	}
	return b
}

// number writes a number of feature j, with the list's decimal mark in all.
func (s *scorer) number(j int, x float64) string {
	n := s.model.Schema.Features[j].Notation
	if s.point == "," && n.Date == "" {
		n.Decimal = ","
	}
	return n.Format(x)
}
