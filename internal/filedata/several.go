package filedata

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"churn/internal/csvdata"
	"churn/internal/dataset"
)

// OpenAll opens the files that paths and patterns name, in that order, as one table with the rows of
// all. They have the same header and are written alike.
func OpenAll(ctx context.Context, patterns []string, o Options, stderr io.Writer) (_ *Table, err error) {
	var all *Table
	defer func() {
		if err != nil && all != nil {
			all.Close()
		}
	}()
	seen := map[string]bool{}
	for _, pattern := range patterns {
		paths := []string{pattern}
		if _, missing := os.Stat(pattern); missing != nil && strings.ContainsAny(pattern, "*?[") {
			if paths, err = filepath.Glob(pattern); err != nil || len(paths) == 0 {
				return nil, fmt.Errorf("%s: no file has such a name: give a path, or a pattern in quotes", pattern)
			}
		}
		for _, path := range paths {
			if seen[filepath.Clean(path)] {
				return nil, fmt.Errorf("%s is named twice: its rows would count twice", path)
			}
			t, err := Open(ctx, path, o, stderr)
			if err != nil {
				return nil, err
			}
			if seen[filepath.Clean(path)] = true; all == nil {
				all = t
			} else {
				all.more = append(all.more, t)
			}
		}
	}
	if len(all.more) > 0 {
		all.first, all.Name = all.Name, strings.Join(patterns, ", ")
	}
	return all, nil
}

// joined is the text of tables one after another, with the header of the first.
type joined struct {
	io.Reader // of the table at hand
	all       *Table
	first     csvdata.Source
	header    []string
	read      int // tables so far
	line      int // ends of lines so far
	starts    []start
}

// A start is where a table's rows begin.
type start struct {
	line, own int // in all, and in its file
	file      string
}

// join returns the text of a table and those that follow it.
func (t *Table) join(s csvdata.Source) (csvdata.Source, error) {
	j := &joined{all: t, first: s, starts: []start{{1, 1, t.first}}}
	raw, rest, err := j.cutHeader(s.Reader)
	j.Reader = io.MultiReader(strings.NewReader(raw), rest)
	s.Reader, s.Size, s.Place = j, 0, j.place
	return s, err
}

// place returns the file and the line in it of a line of all.
func (j *joined) place(line int) (file string, own int) {
	k := len(j.starts) - 1
	for j.starts[k].line > line {
		k--
	}
	return j.starts[k].file, line - j.starts[k].line + j.starts[k].own
}

func (j *joined) Read(p []byte) (int, error) {
	n, err := j.Reader.Read(p)
	j.line += bytes.Count(p[:n], []byte{'\n'})
	switch {
	case err == io.EOF && n > 0:
		err = nil // it comes again
	case err == io.EOF && j.read < len(j.all.more):
		if err = j.next(); err == nil {
			return j.Read(p)
		}
	}
	return n, err
}

// next goes to the next table, behind its header. An empty line is skipped, so one ends a table whose
// last line has no end.
func (j *joined) next() error {
	t := j.all.more[j.read]
	j.read++
	if t.begun {
		if err := t.Rewind(); err != nil {
			return err
		}
	}
	t.begun = true
	s, err := t.read(j.all.bar.Reader(t.File))
	var raw string
	var rest io.Reader
	if err == nil {
		raw, rest, err = j.cutHeader(s.Reader)
	}
	other := s.Comma != j.first.Comma || !slices.Equal(s.Typed, j.first.Typed) ||
		s.Typed == nil && len(s.Notes) != len(j.first.Notes)
	if err == nil && other {
		err = fmt.Errorf("it is not written as %s is: say --delimiter and --encoding if one is taken wrongly, "+
			"or write both as CSV in UTF-8", j.starts[0].file)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	j.Reader = io.MultiReader(strings.NewReader("\n"), rest)
	j.starts = append(j.starts, start{j.line + 2, strings.Count(raw, "\n") + 1, t.Name}) // behind that line end
	return nil
}

// cutHeader reads the header of a table, which must be that of the first.
func (j *joined) cutHeader(r io.Reader) (raw string, rest io.Reader, err error) {
	in := bufio.NewReaderSize(r, sampleBytes)
	const most = 16 << 20 // bytes: a longer one has a quote that is not closed
	var text []byte
	for blank, quotes := true, 0; err == nil && (blank || quotes%2 != 0) && len(text) < most; {
		var line []byte
		line, err = in.ReadBytes('\n')
		text, quotes, blank = append(text, line...), quotes+bytes.Count(line, []byte{'"'}), len(bytes.TrimSpace(line)) == 0
	}
	raw = string(text)
	if err != nil && err != io.EOF {
		return "", in, err
	}
	c := csv.NewReader(strings.NewReader(strings.TrimPrefix(raw, "\ufeff")))
	c.Comma = rune(cmp.Or(j.first.Comma, ','))
	names, bad := c.Read() // of the first file csvdata says what is wrong
	for i, name := range names {
		names[i] = dataset.ColumnName(name)
	}
	switch {
	case j.header == nil:
		j.header = names
	case bad == io.EOF:
		return "", in, errors.New("the file is empty: it needs a header line")
	case bad != nil:
		return "", in, fmt.Errorf("its header is not CSV: is there a quote that is not closed? %w", bad)
	case !slices.Equal(names, j.header):
		return "", in, fmt.Errorf("its header is %q, that of %s is %q: all files must have the same columns in the same "+
			"order", names, j.starts[0].file, j.header)
	}
	return raw, in, nil
}
