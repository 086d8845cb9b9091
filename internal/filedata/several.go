package filedata

import (
	"bufio"
	"bytes"
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
	"churn/internal/progress"
)

// OpenAll opens the files that paths and patterns name, in that order, as one table with the rows of
// all. They have the same header and are written alike.
func OpenAll(ctx context.Context, patterns []string, o Options, stderr io.Writer) (_ *Table, err error) {
	var all *Table
	seen := map[string]bool{}
	for _, pattern := range patterns {
		paths := []string{pattern}
		if _, err := os.Stat(pattern); err != nil && strings.ContainsAny(pattern, "*?[") {
			if paths, err = filepath.Glob(pattern); err != nil || len(paths) == 0 {
				return nil, errors.Join(fmt.Errorf("%s: no file has such a name: give a path, or a pattern in quotes", pattern),
					err, all.Close())
			}
		}
		for _, path := range paths {
			t, err := Open(ctx, path, o, stderr)
			if err == nil && seen[filepath.Clean(path)] {
				err = fmt.Errorf("%s is named twice: its rows would count twice", path)
			}
			if err != nil {
				return nil, errors.Join(err, all.Close())
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

// joined is the text of tables one after another, with one header.
type joined struct {
	io.Reader // of the table at hand
	first     csvdata.Source
	header    []string
	left      []*Table
	bar       *progress.Bar
	line      int // ends of lines so far
	within    bool
	starts    []start
}

// A start is where a table's rows begin.
type start struct {
	line, own int // in all, and in its file
	file      string
}

// join returns the text of a table and those that follow it.
func (t *Table) join(s csvdata.Source) (csvdata.Source, error) {
	j := &joined{first: s, left: t.more, bar: t.bar, starts: []start{{1, 1, t.first}}}
	raw, rest, err := j.cutHeader(s.Reader)
	if err != nil {
		return s, err
	}
	j.Reader = io.MultiReader(strings.NewReader(raw), rest)
	s.Reader, s.Size, s.Place = j, 0, j.place
	return s, nil
}

// place returns the file and the line in it of a line of all.
func (j *joined) place(line int) (file string, own int) {
	at := j.starts[0]
	for _, s := range j.starts {
		if s.line <= line {
			at = s
		}
	}
	return at.file, line - at.line + at.own
}

func (j *joined) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil {
		n, err = j.Reader.Read(p)
		switch {
		case n > 0:
			j.line, j.within = j.line+bytes.Count(p[:n], []byte{'\n'}), p[n-1] != '\n'
			if err == io.EOF {
				err = nil // it comes again
			}
		case err == io.EOF && j.within && len(j.left) > 0:
			j.Reader, err = strings.NewReader("\n"), nil
		case err == io.EOF && len(j.left) > 0:
			err = j.next()
		}
	}
	return n, err
}

// next goes to the next table, behind its header.
func (j *joined) next() error {
	t := j.left[0]
	j.left = j.left[1:]
	if t.begun {
		if err := t.Rewind(); err != nil {
			return err
		}
	}
	t.begun = true
	s, err := t.read(j.bar.Reader(t.File))
	if err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	raw, rest, err := j.cutHeader(s.Reader)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	if s.Comma != j.first.Comma || s.Typed != j.first.Typed || len(s.Notes) != len(j.first.Notes) {
		return fmt.Errorf("%s is not written as %s is: say --delimiter and --encoding if one is taken wrongly, "+
			"or write both as CSV in UTF-8", t.Name, j.starts[0].file)
	}
	j.Reader = rest
	j.starts = append(j.starts, start{j.line + 1, 1 + strings.Count(raw, "\n"), t.Name})
	return nil
}

// cutHeader reads the header of a table, which must be that of the first.
func (j *joined) cutHeader(r io.Reader) (raw string, rest io.Reader, err error) {
	in := bufio.NewReaderSize(r, sampleBytes)
	for err == nil && (strings.TrimSpace(raw) == "" || strings.Count(raw, `"`)%2 != 0) {
		var line string
		line, err = in.ReadString('\n')
		raw += line
	}
	if err != nil && err != io.EOF {
		return "", nil, err
	}
	c := csv.NewReader(strings.NewReader(strings.TrimPrefix(raw, "\ufeff")))
	if j.first.Comma != 0 {
		c.Comma = rune(j.first.Comma)
	}
	names, _ := c.Read() // of the first file csvdata says what is wrong
	for i, name := range names {
		names[i] = dataset.ColumnName(name)
	}
	switch {
	case j.header == nil:
		j.header = names
	case names == nil:
		return "", nil, errors.New("the file is empty: it needs a header line")
	case !slices.Equal(names, j.header):
		return "", nil, fmt.Errorf("its header is %q, that of %s is %q: all files must have the same columns in the same "+
			"order", names, j.starts[0].file, j.header)
	}
	return raw, in, nil
}
