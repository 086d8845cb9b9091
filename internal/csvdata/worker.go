package csvdata

import (
	"bytes"
	"fmt"
	"slices"

	"churn/internal/dataset"
)

// A worker reads chunks, one at a time. It counts over all of them.
type worker struct {
	*scanner
	number  int
	records records
	columns []*column // by feature
	target  target
	row     []int32 // by feature: index of the current record's cell in column.cells
	time    moment  // the current record's, with Limits.Time

	rowsRead, rowsKept, rowsDropped, rowsOpen, rowsBlank int

	bits, nextBits int // of the sampler at the current line, and the line where they change
}

func (sc *scanner) newWorker(number int) *worker {
	w := &worker{
		scanner: sc, number: number, row: make([]int32, len(sc.schema.Features)),
		columns: make([]*column, 0, len(sc.schema.Features)),
		target:  target{schema: sc.schema, classes: sc.schema.NewClasses()},
	}
	for j := range sc.schema.Features {
		f := &sc.schema.Features[j]
		w.columns = append(w.columns, newColumn(f, sc.limits.MaxLevels(f), sc.sampler != nil, sc.origins[j]))
	}
	return w
}

func (w *worker) scan(p *partial) {
	p.reset(w.audit.Issues.File, len(w.columns))
	p.worker = w.number
	rs := &w.records
	rs.reset(p.chunk, len(w.header), &p.issues)
	var copied span // of records that are written as they were read
	for rs.next() {
		if w.rowsRead++; w.rowsRead == tryRows && !w.coded {
			adapt(w.columns, tryRows-w.rowsOpen)
		}
		label := w.readRow(p, rs)
		if label == nil {
			continue
		}
		w.rowsKept++
		if w.sampler == nil {
			w.keep(p, label)
			continue
		}
		text := rs.raw
		if w.unchanged(rs, label) {
			copied.extend(p, len(p.chunk.text)-len(rs.rest)-len(rs.raw), len(rs.raw))
		} else {
			copied.flush(p)
			at := len(p.copied)
			p.copied = slices.Grow(w.appendRow(p.copied, rs, label), padding)
			text = p.copied[at:]
		}
		w.sample(p, label, text, rs.line)
	}
	if len(p.copied) == 0 {
		p.csv = p.chunk.text[copied.from:copied.to] // a chunk that needs no change is not copied
	} else {
		copied.flush(p)
		p.csv = p.copied
	}
	w.rowsBlank += rs.blank
	p.broken, p.overflow = rs.broken, false
	for j, c := range w.columns {
		p.values[j] = c.values
		if c.sketch != nil && c.describe { // which has counted them
			c.values, c.counts, c.first = nil, nil, nil
		}
		p.overflow = p.overflow || c.quality.TooManyLevels
	}
}

// sample keeps the current row, and the hash of its text, if they are to be kept.
func (w *worker) sample(p *partial, label *label, text []byte, line int) {
	p.lastLine = line
	if line >= w.nextBits {
		w.bits = w.sampler.bitsAt(line)
		w.nextBits = w.sampler.most << w.bits
	}
	if h := hash(wordOf(text), text); keeps(h, w.bits) {
		p.hashes = append(p.hashes, rowHash{h, line})
	}
	if keeps(lineHash(line), w.bits) {
		p.lines = append(p.lines, line)
		w.keep(p, label)
	}
}

// readRow cleans and validates a record. It returns the label, or nil if the row is
// not kept.
func (w *worker) readRow(p *partial, rs *records) *label {
	var label *label
	open := w.timeCell >= 0 && !w.readTime(rs) && w.limits.DropInvalid
	if w.targetCell >= 0 {
		label = w.target.read(rs.cells[w.targetCell], rs.line)
		open = open || label.Third || label.Missing && w.limits.DropOpen
	}
	if open {
		w.rowsDropped++
		w.rowsOpen++
		return nil
	}
	drop := false
	for j, c := range w.columns {
		if w.cell[j] < 0 {
			continue
		}
		w.row[j] = c.read(rs.cells[w.cell[j]])
		if c.hot[w.row[j]].flagged && !w.checkFlagged(p, j, rs.line) {
			drop = true
		}
	}
	if drop {
		w.rowsDropped++
		return nil
	}
	for j, c := range w.columns {
		if w.cell[j] >= 0 {
			c.count(w.row[j], rs.line)
		}
	}
	if label == nil {
		return nil
	}
	if label.Missing {
		p.issues.Add(rs.line, w.schema.Target.Name, "missing", "the target is missing: --drop-invalid leaves such rows out")
		return nil
	}
	w.keepTime(p, rs.line)
	w.target.classes.Count(label.class, 1)
	if w.badHeader || !p.issues.Empty() {
		return nil
	}
	return label
}

// A moment is a time as it is written, and what dataset.ParseTime says of it.
type moment struct {
	text      string
	at        float64
	date, ok  bool
	rewritten bool // text is not the cell
}

// readTime reads the time of a row. A model that knows the columns can do without.
func (w *worker) readTime(rs *records) bool {
	cell := rs.cells[w.timeCell]
	m := moment{text: string(bytes.TrimSpace(cell))}
	m.rewritten = len(m.text) != len(cell)
	if m.at, m.date, m.ok = dataset.ParseTime(m.text); !m.ok && w.limits.TimeForm != "" {
		if iso, ok := dataset.ParseMoment(m.text, w.limits.TimeForm); ok {
			m = moment{text: iso, rewritten: true}
			m.at, m.date, m.ok = dataset.ParseTime(iso)
		}
	}
	w.time = m
	return m.ok || w.limits.Known
}

// keepTime counts the time of a row that is kept.
func (w *worker) keepTime(p *partial, line int) {
	switch m := &w.time; {
	case w.timeCell < 0:
	case !m.ok && !w.limits.Known:
		p.issues.Add(line, w.limits.Time, "time", fmt.Sprintf("%q is not a time: a date such as 2026-01-31, a date and "+
			"time, or a number; --dates says how others are written, and --drop-invalid leaves such rows out", m.text))
	case m.date:
		p.moments[1]++
	default:
		p.moments[0]++
	}
}

// checkFlagged counts a cell that was changed, is missing or has a problem. It records the
// problem, and reports whether the row may be kept.
func (w *worker) checkFlagged(p *partial, j, line int) bool {
	c := w.columns[j]
	found := &c.cells[w.row[j]]
	c.quality.Count(found.value, found.changes, 1)
	if found.value.Missing && len(p.missing[j]) < dataset.LinesShown && !p.chunk.added {
		p.missing[j] = append(p.missing[j], line)
	}
	problem := found.problem
	if problem == nil {
		return true
	}
	if w.limits.Drops(problem) {
		c.quality.Invalid++
		return false
	}
	p.issues.Add(line, c.feature.Name, problem.ID(), problem.Error())
	return true
}

// keep adds the current row to the partial's columns.
func (w *worker) keep(p *partial, label *label) {
	p.positive = append(p.positive, label.Positive)
	if w.timeCell >= 0 {
		p.times = append(p.times, w.time.at)
	}
	for j, c := range w.columns {
		if c.sketch == nil {
			p.codes[j] = append(p.codes[j], c.hot[w.row[j]].code)
			continue
		}
		for _, code := range p.codes[j] { // the column has too many values for codes since this chunk
			p.numbers[j] = append(p.numbers[j], c.values[code].Float())
		}
		p.codes[j] = p.codes[j][:0]
		p.numbers[j] = append(p.numbers[j], c.cells[w.row[j]].value.Float())
	}
}

// unchanged reports whether the record's text is what appendRow would write.
func (w *worker) unchanged(rs *records, label *label) bool {
	if rs.csv != nil || w.time.rewritten || rs.chunk.comma != ',' || !w.inOrder || !label.unchanged ||
		!bytes.HasSuffix(rs.raw, []byte("\n")) || bytes.HasSuffix(rs.raw, []byte("\r\n")) {
		return false
	}
	for j, c := range w.columns {
		if !c.hot[w.row[j]].unchanged {
			return false
		}
	}
	return true
}

// appendRow appends the current row: the features in the schema's order, then the target, and the
// time if there is one.
func (w *worker) appendRow(b []byte, rs *records, label *label) []byte {
	for j, c := range w.columns {
		if at := w.row[j]; c.hot[at].unchanged {
			b = append(b, rs.cells[w.cell[j]]...)
		} else {
			b = append(b, c.cells[at].csv...)
		}
		b = append(b, ',')
	}
	b = append(b, label.csv...)
	if w.timeCell >= 0 {
		b = append(append(b, ','), quote(w.time.text)...)
	}
	return append(b, '\n')
}

// A target reads the cells of the target, and counts the classes of the rows that
// are kept.
type target struct {
	schema  *dataset.Schema
	texts   dictionary
	known   []label // by index of the text in texts
	last    label   // the last one that is not in texts
	classes dataset.Classes
}

// A label is a cell of the target.
type label struct {
	dataset.Label
	csv       string // as prepare writes it
	unchanged bool   // csv is the text as it was read
	class     int    // its index in classes
}

// read cleans a cell. The label is valid until the next read.
func (t *target) read(text []byte, line int) *label {
	if i := t.texts.find(text); i >= 0 {
		return &t.known[i]
	}
	t.last = label{Label: t.schema.Label(string(text))}
	t.last.csv = quote(t.last.Text)
	t.last.unchanged = t.last.csv == string(text)
	t.last.class = t.classes.Class(t.last.Text, line)
	if i := t.texts.add(text); i >= 0 {
		t.known = append(t.known, t.last)
	}
	return &t.last
}
