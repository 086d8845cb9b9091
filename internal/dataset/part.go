package dataset

import "fmt"

// A part is what a worker made of a block. It is used again for another one.
type part struct {
	memory []byte // for the block
	block  block
	done   chan struct{} // gets a value when the worker is through

	from     int         // the worker's number
	codes    [][]uint16  // by feature and row: the worker's; none if text is wanted
	values   [][]Value   // by feature and code: those that the worker knew then
	numbers  [][]float64 // by feature and row, in place of codes, if the column is wide
	positive []bool      // by row
	csv      []byte      // the rows as prepare writes them
	copied   []byte      // memory for csv

	fails   failures
	missing [][]int // first lines with a missing cell, by feature
	broken  bool    // the file stopped being CSV in this block
	refused bool    // there is a cell that a table cannot hold
}

func newPart(s *Schema) *part {
	n := len(s.Features)
	return &part{
		done:  make(chan struct{}, 1),
		codes: make([][]uint16, n), values: make([][]Value, n), numbers: make([][]float64, n), missing: make([][]int, n),
	}
}

// read reads the next block of a file.
func (p *part) read(in *blocks) (err error) {
	p.block, err = in.next(p.memory)
	p.memory = p.block.text
	return err
}

func (p *part) reset(file string) {
	p.positive, p.csv, p.copied, p.fails = p.positive[:0], nil, p.copied[:0], failures{file: file}
	for j := range p.codes {
		p.codes[j], p.numbers[j], p.missing[j] = p.codes[j][:0], p.numbers[j][:0], p.missing[j][:0]
	}
}

// A worker reads blocks, one at a time. What it counts is of all its blocks.
type worker struct {
	*scanner
	number  int
	records records
	columns []*cells // by feature
	labels  labels
	row     []int32 // by feature: what read returned for the record at hand

	read, kept, dropped int // rows
}

func (sc *scanner) newWorker(number int) *worker {
	w := &worker{scanner: sc, number: number, row: make([]int32, len(sc.schema.Features)), labels: labels{schema: sc.schema}}
	for j := range sc.schema.Features {
		f := &sc.schema.Features[j]
		w.columns = append(w.columns, newCells(f, levelLimit(f, sc.limits), sc.wantCSV, sc.origins[j]))
	}
	return w
}

// scan makes a part of its block.
func (w *worker) scan(p *part) {
	p.reset(w.file)
	p.from = w.number
	rs := &w.records
	rs.over(p.block, len(w.header), &p.fails)
	var text span
	for rs.next() {
		w.read++
		label := w.judgeRow(p, rs)
		if label == nil {
			continue
		}
		w.kept++
		if !w.wantCSV {
			w.keep(p, label)
			continue
		}
		if w.unchanged(rs, label) {
			text.extend(p, len(p.block.text)-len(rs.rest)-len(rs.raw), len(rs.raw))
		} else {
			text.flush(p)
			p.copied = w.appendRow(p.copied, label)
		}
	}
	if len(p.copied) == 0 {
		p.csv = p.block.text[text.from:text.to] // a block that needed no change is not copied
	} else {
		text.flush(p)
		p.csv = p.copied
	}
	p.broken, p.refused = rs.broken, false
	for j, c := range w.columns {
		p.values[j] = c.values
		p.refused = p.refused || c.quality.tooManyLevels
	}
}

// A span is rows of a block's text that need no change, not copied yet.
type span struct{ from, to int }

func (s *span) extend(p *part, at, length int) {
	if at != s.to {
		s.flush(p)
		s.from = at
	}
	s.to = at + length
}

func (s *span) flush(p *part) {
	p.copied = append(p.copied, p.block.text[s.from:s.to]...)
	s.from = s.to
}

// judgeRow cleans and judges a record. It returns the label, or nil if the row
// is not kept.
func (w *worker) judgeRow(p *part, rs *records) *label {
	drop := false
	for j, c := range w.columns {
		if w.cell[j] < 0 {
			continue
		}
		w.row[j] = c.read(rs.cells[w.cell[j]])
		if c.briefs[w.row[j]].odd && !w.note(p, j, rs.line) {
			drop = true
		}
	}
	if drop {
		w.dropped++
		return nil
	}
	for j, c := range w.columns {
		if w.cell[j] >= 0 {
			c.count(w.row[j], rs.line)
		}
	}
	if w.target < 0 {
		return nil
	}
	label := w.labels.read(rs.cells[w.target], rs.line)
	if label.missing {
		p.fails.add(rs.line, w.schema.Target.Name, "missing", "the target is missing")
		return nil
	}
	w.labels.count(label)
	if w.unbound || len(p.fails.list) > 0 {
		return nil
	}
	return label
}

// note counts what is odd about a cell, and tells whether its row may be kept.
func (w *worker) note(p *part, j, line int) bool {
	c := w.columns[j]
	found := &c.known[w.row[j]]
	c.quality.count(found.value, found.changes)
	if found.value.Missing && len(p.missing[j]) < linesShown && !p.block.more {
		p.missing[j] = append(p.missing[j], line)
	}
	problem := found.problem
	if problem == nil {
		return true
	}
	if w.limits.drops(problem) {
		c.quality.Invalid++
		return false
	}
	p.fails.add(line, c.feature.Name, fmt.Sprint(problem.Kind, problem.Rule), problem.Error())
	return true
}

// keep adds the row at hand to the part's columns.
func (w *worker) keep(p *part, label *label) {
	p.positive = append(p.positive, label.positive)
	for j, c := range w.columns {
		if c.wide == nil {
			p.codes[j] = append(p.codes[j], c.briefs[w.row[j]].code)
			continue
		}
		for _, code := range p.codes[j] { // the column has become wide in this part
			p.numbers[j] = append(p.numbers[j], c.values[code].number())
		}
		p.codes[j] = p.codes[j][:0]
		p.numbers[j] = append(p.numbers[j], c.known[w.row[j]].value.number())
	}
}

// unchanged tells whether the record's text is what appendRow would write.
func (w *worker) unchanged(rs *records, label *label) bool {
	if rs.csv != nil || !w.inOrder || !label.same || len(withoutEnd(rs.raw)) != len(rs.raw)-1 || rs.raw[len(rs.raw)-1] != '\n' {
		return false
	}
	for j, c := range w.columns {
		if !c.briefs[w.row[j]].same {
			return false
		}
	}
	return true
}

// appendRow appends the row at hand, the features in the schema's order, then the target.
func (w *worker) appendRow(b []byte, label *label) []byte {
	for j, c := range w.columns {
		b = append(append(b, c.known[w.row[j]].csv...), ',')
	}
	return append(append(b, label.csv...), '\n')
}
