// Package filedata opens the files in which people keep tables, and gives their text as package
// csvdata reads it. What a file is, is found from its first bytes, not from its name.
package filedata

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/input"
	"churn/internal/progress"
	"churn/internal/strictjson"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"
)

// Options say what cannot be found from a file, or overrule what is.
type Options struct {
	Delimiter string   // between the cells of text; "" finds it
	Encoding  string   // of text; "" is UTF-8, UTF-16 with a byte order mark, or else suspected
	SkipLines int      // before the header
	SkipRows  int      // lines behind it
	Sheet     string   // of a workbook; "" is the first
	Ignore    []string // columns that need not be read, by name, or by place: #1 is the first
}

// AddFlags adds the flags of the options.
func (o *Options) AddFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.Delimiter, "delimiter", "",
		"`character` between the cells: , ; | or tab (default: found from the file)")
	f.StringVar(&o.Encoding, "encoding", "",
		"`name` of the text's encoding, such as windows-1252 or latin-9 (default: UTF-8)")
	f.IntVar(&o.SkipLines, "skip-lines", 0, "`number` of lines before the header, such as a title")
	f.IntVar(&o.SkipRows, "skip-rows", 0, "`number` of lines behind the header, such as a second header")
	f.StringVar(&o.Sheet, "sheet", "", "`name` of the worksheet in a workbook (default: the first)")
}

// Parquet reads a Parquet file, of which columns to ignore may have any type, in programs that import package parquet.
var Parquet func(f io.ReaderAt, size int64, ignore []string) (csvdata.Source, error)

// skips reports whether a line, from 1, is left out.
func (o *Options) skips(line int) bool {
	header := o.SkipLines + 1
	return line < header || line > header && line <= header+o.SkipRows
}

const (
	sampleBytes = 64 << 10 // of text, from which its form is found
	mostTimes   = 2000     // a packed file is larger when unpacked, beyond mostFree
	mostFree    = 1 << 30  // bytes
)

// A Table is the table in a file.
type Table struct {
	*input.File
	options Options
	stderr  io.Writer
	bar     *progress.Bar
	begun   bool
	more    []*Table // whose rows follow
	first   string   // with more: the name of its file, where Name is of all
}

// Open opens a file; "-" is standard input. stderr, if it is a terminal, shows how much has been
// read.
func Open(ctx context.Context, path string, o Options, stderr io.Writer) (*Table, error) {
	const most = 1_000_000 // more is a mistake, and the sum must not overflow
	if min(o.SkipLines, o.SkipRows) < 0 || max(o.SkipLines, o.SkipRows) > most {
		return nil, fmt.Errorf("--skip-lines %d --skip-rows %d: 0 to %d", o.SkipLines, o.SkipRows, most)
	}
	f, err := input.Open(ctx, path, true, stderr)
	if err != nil {
		return nil, err
	}
	return &Table{File: f, options: o, stderr: stderr}, nil
}

// ReadOutcomes reads a file of outcomes, and returns its name for messages. It tells its notes as the program by.
func ReadOutcomes(ctx context.Context, by, path string, o Options, s *dataset.Schema, stderr io.Writer,
) (outcomes *csvdata.Outcomes, name string, err error) {
	f, err := Open(ctx, path, o, stderr)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	source, err := f.Read("")
	if err != nil {
		return nil, "", err
	}
	for _, note := range source.Notes {
		fmt.Fprintf(stderr, "%s: %s: %s\n", by, strictjson.Printable(f.Name), note)
	}
	outcomes, err = csvdata.ReadOutcomes(ctx, source, s)
	return outcomes, f.Name, err
}

// Read returns the table from its beginning. what, if not empty, names the work on a terminal.
func (t *Table) Read(what string) (csvdata.Source, error) {
	if t.begun {
		t.bar.Finish()
		if err := t.Rewind(); err != nil {
			return csvdata.Source{}, err
		}
	}
	t.begun = true
	var r io.Reader = t.File
	if what != "" {
		size := t.Size
		for _, other := range t.more {
			size += other.Size
		}
		t.bar = progress.Bytes(t.stderr, what, size)
		r = t.bar.Reader(r)
	}
	s, err := t.read(r)
	if err == nil && len(t.more) > 0 {
		s, err = t.join(s)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", t.Name, err)
	}
	s.File = t.Name
	return s, nil
}

// Close closes the files.
func (t *Table) Close() error {
	t.bar.Finish()
	for _, other := range t.more {
		other.Close()
	}
	return t.File.Close()
}

func (t *Table) read(r io.Reader) (csvdata.Source, error) {
	in := bufio.NewReaderSize(r, sampleBytes)
	start, err := in.Peek(512)
	if err != nil && err != io.EOF {
		return csvdata.Source{}, err
	}
	switch kind := kindOf(start); kind {
	case "":
		s, err := t.options.text(in)
		s.Size = t.Size
		return s, err
	case gzipped, zstandard, bzipped:
		unpacked, err := unpack(kind, in, t.Size)
		if err != nil {
			return csvdata.Source{}, err
		}
		return t.packed(kind, unpacked)
	case zipped:
		return t.archive()
	case parquetFile:
		f, size, err := t.Whole()
		switch {
		case err != nil:
			return csvdata.Source{}, err
		case Parquet == nil:
			return csvdata.Source{}, errors.New("this is a Parquet file, which prepare, evaluate, serve and drift read: " +
				"write it as CSV")
		}
		return Parquet(f, size, t.options.Ignore)
	default:
		return csvdata.Source{}, fmt.Errorf("this is %s", kind)
	}
}

// Kinds of files that are not text.
const (
	gzipped     = "a gzip file"
	zstandard   = "a Zstandard file"
	bzipped     = "a bzip2 file"
	zipped      = "a zip archive"
	parquetFile = "a Parquet file"
)

// kindOf returns what a file is by its first bytes; "" is text. Of what cannot be read it says
// what to do.
func kindOf(start []byte) string {
	for _, k := range []struct{ magic, kind string }{
		{"\x1f\x8b", gzipped},
		{"\x28\xb5\x2f\xfd", zstandard},
		{"BZh", bzipped},
		{"PK\x03\x04", zipped},
		{"PK\x05\x06", zipped}, // an empty one
		{"PAR1", parquetFile},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel 97 workbook (.xls), or an encrypted one: save it as .xlsx or CSV"},
		{"\xfd7zXZ\x00", "an xz file: unpack it with unxz"},
		{"Rar!", "a RAR archive: unpack it"},
		{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it"},
		{"ARROW1", "an Arrow file: write it as Parquet or CSV"},
		{"FEA1", "a Feather file: write it as Parquet or CSV"},
		{"ORC", "an ORC file: write it as Parquet or CSV"},
		{"Obj\x01", "an Avro file: write it as Parquet or CSV"},
		{"SQLite format 3\x00", "a SQLite database: export the table as CSV"},
		{"%PDF-", "a PDF: export the table as CSV"},
		{"$FL2", "an SPSS file: save it as CSV"},
		{"<stata_dta>", "a Stata file: save it as CSV"},
		{"\x80\x04\x95", "a Python pickle: write it with to_csv or to_parquet"},
		{"RDX3", "an R data file: write it with write.csv"},
		{"{\\rtf", "a word processor's file: save it as plain text"},
		{"version https://git-lfs", "a pointer to a file in Git LFS, not the file: fetch it with git lfs pull"},
	} {
		if bytes.HasPrefix(start, []byte(k.magic)) {
			return k.kind
		}
	}
	if tar := 257; len(start) > tar && bytes.HasPrefix(start[tar:], []byte("ustar")) {
		return "a tar archive: unpack it"
	}
	text := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(string(start), "\ufeff")))
	dense := strings.Join(strings.Fields(text), "")
	switch {
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"), strings.HasPrefix(text, "<table"):
		return "a web page: download the file itself or, if Excel opens it, save it there as .xlsx"
	case strings.HasPrefix(text, "<?xml"):
		return "an XML file: export the table as CSV or, if Excel opens it, save it there as .xlsx"
	case strings.HasPrefix(text, "@relation"):
		return "a Weka file (ARFF): save it as CSV"
	case strings.HasPrefix(text, "create table"), strings.HasPrefix(text, "insert into"):
		return "an SQL script: run it in a database, and export the table as CSV"
	case strings.HasPrefix(dense, "[{"), strings.HasPrefix(dense, "{\""):
		return "a JSON file: write the table as CSV"
	}
	return ""
}

// unpack returns the bytes in a packed file, which are bounded.
func unpack(kind string, r io.Reader, size int64) (unpacked io.Reader, err error) {
	switch kind {
	case gzipped:
		unpacked, err = gzip.NewReader(r)
	case zstandard:
		unpacked, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	default:
		unpacked = bzip2.NewReader(r)
	}
	if err != nil {
		return nil, fmt.Errorf("this is %s that cannot be unpacked: %w", kind, err)
	}
	return &bounded{r: unpacked, kind: kind, left: max(mostFree, mostTimes*size)}, nil
}

// bounded reads at most so many bytes, and says what the file is if it is damaged.
type bounded struct {
	r    io.Reader
	kind string
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%s that becomes more than %d times its size: it is not read", b.kind, mostTimes)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s that is damaged, or not complete: %w", b.kind, err)
	}
	return n, err
}

// archive reads a zip archive: a workbook, or one packed file.
func (t *Table) archive() (csvdata.Source, error) {
	f, size, err := t.Whole()
	if err != nil {
		return csvdata.Source{}, err
	}
	z, err := zip.NewReader(f, size)
	if err != nil {
		return csvdata.Source{}, fmt.Errorf("a zip archive or workbook that is damaged, or not complete: %w", err)
	}
	var files []*zip.File
	for _, member := range z.File {
		switch {
		case member.Name == "xl/workbook.xml":
			return t.options.workbook(z)
		case member.Name == "xl/workbook.bin":
			return csvdata.Source{}, errors.New("this is a binary workbook (.xlsb): save it as .xlsx or CSV")
		case member.Name == "mimetype":
			return csvdata.Source{}, errors.New("this is an OpenDocument file: save it as .xlsx or CSV")
		case !member.FileInfo().IsDir() && !strings.HasPrefix(member.Name, "__MACOSX/"):
			files = append(files, member)
		}
	}
	if len(files) != 1 {
		return csvdata.Source{}, fmt.Errorf("this is a zip archive of %d files: unpack it and name one", len(files))
	}
	unpacked, err := files[0].Open()
	if err != nil {
		return csvdata.Source{}, err
	}
	return t.packed(zipped, &bounded{r: unpacked, kind: zipped, left: max(mostFree, mostTimes*size)})
}

func (t *Table) packed(kind string, unpacked io.Reader) (csvdata.Source, error) {
	in := bufio.NewReaderSize(unpacked, sampleBytes)
	start, _ := in.Peek(512) // an error comes again
	if inner := kindOf(start); inner != "" {
		return csvdata.Source{}, fmt.Errorf("this is %s with %s: unpack it", kind, strings.SplitN(inner, ":", 2)[0])
	}
	return t.options.text(in)
}
