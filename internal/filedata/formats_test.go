package filedata_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode/utf32"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"
	_ "churn/internal/filedata/parquet"
	"churn/internal/testing/need"
)

// prepare cleans a file as prepare --target does.
func prepare(t *testing.T, path string, o filedata.Options) (text string, notes []string, err error) {
	t.Helper()
	inference := csvdata.Inference{Target: dataset.Target{Name: "left", Positive: "yes"}}
	f, err := filedata.Open(t.Context(), path, o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, err := f.Read("")
	if err != nil {
		return "", nil, err
	}
	schema, found, err := csvdata.Infer(t.Context(), source, inference)
	if err != nil {
		return "", source.Notes, err
	}
	again, err := f.Read("")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, _, err = csvdata.Clean(t.Context(), again, nil, schema, dataset.Limits{MaxMissing: 0.1}, &out)
	return out.String(), append(source.Notes, found...), err
}

// The same customers are the same data in every form, written by pandas, openpyxl and pyarrow.
func TestTheSameCustomersInEveryForm(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command(need.Python(t, "pandas, openpyxl, pyarrow, zstandard"), "testdata/formats.py", dir).
		CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 14 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	want, _, err := prepare(t, filepath.Join(dir, "plain.csv"), filedata.Options{})
	if err != nil || strings.Count(want, "\n") != 401 || !strings.Contains(want, "Économique") {
		t.Fatalf("%v: %.200s", err, want)
	}
	for _, f := range files {
		got, notes, err := prepare(t, filepath.Join(dir, f.Name()), filedata.Options{})
		// files without a percent sign or decimals that end with a zero write numbers otherwise
		if err != nil || !sameCells(got, want) {
			t.Errorf("%s: %v, %q:\n%.300s\nwant\n%.300s", f.Name(), err, notes, got, want)
		}
	}
}

// sameCells compares cells, numbers as numbers.
func sameCells(a, b string) bool {
	split := func(text string) []string {
		return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' })
	}
	x, y := split(a), split(b)
	if strings.Count(a, ",") != strings.Count(b, ",") || len(x) != len(y) {
		return false
	}
	for i := range x {
		p, isNumber := dataset.ParseNumber(x[i])
		if q, _ := dataset.ParseNumber(y[i]); x[i] != y[i] && (!isNumber || p != q) {
			return false
		}
	}
	return true
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const good = "age,plan,left\n" + "1,a,yes\n2,b,no\n3,a,yes\n4,b,no\n"

func TestWhatIsSaidOfAFile(t *testing.T) {
	quoted := strings.NewReplacer(",", `";"`, "\n", "\"\n\"").Replace(`"`+strings.TrimSpace(good)) + "\"\n"
	latin := strings.ReplaceAll(good, "a,", "\xe9,")
	for _, c := range []struct {
		text string
		o    filedata.Options
		note string
	}{
		{good, filedata.Options{}, ""},
		{"\xef\xbb\xbf" + good, filedata.Options{}, ""},
		{strings.ReplaceAll(good, ",", ";"), filedata.Options{}, "cells are separated by semicolons"},
		{strings.ReplaceAll(good, ",", "\t"), filedata.Options{}, "cells are separated by tabs"},
		{strings.ReplaceAll(good, ",", "|"), filedata.Options{Delimiter: "|"}, ""},
		{quoted, filedata.Options{}, "cells are separated by semicolons"},
		{strings.ReplaceAll(good, "\n", "\r"), filedata.Options{}, "lines end with a carriage return alone"},
		{"Customers\n\n" + good, filedata.Options{SkipLines: 2}, ""},
		{latin, filedata.Options{}, `read as Windows-1252, since line 2 is not UTF-8 (its byte E9 is then 'é')`},
		{latin, filedata.Options{Encoding: "latin-1"}, ""},
		{latin, filedata.Options{Encoding: "ISO-8859-15"}, ""},
		{latin, filedata.Options{Encoding: "cp1252"}, ""},
	} {
		got, notes, err := prepare(t, write(t, "x", c.text), c.o)
		said := strings.Join(notes, "; ")
		if err != nil || strings.Count(got, "\n") != 5 || c.note == "" && said != "" || !strings.Contains(said, c.note) {
			t.Errorf("%.40q with %+v: %v, said %q, want %q: %s", c.text, c.o, err, said, c.note, got)
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	rows := strings.Repeat("1,a,yes\n2,b,no\n", 50)
	for _, c := range []struct {
		text string
		o    filedata.Options
		want string
	}{
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", filedata.Options{},
			"this is an Excel 97 workbook (.xls), or an encrypted one: save it as .xlsx"},
		{"PK\x03\x04junk", filedata.Options{}, "a zip archive or workbook that is damaged, or not complete"},
		{"PAR1junk", filedata.Options{}, "a Parquet file that is damaged, or not complete"},
		{"\x1f\x8bjunk", filedata.Options{}, "this is a gzip file that cannot be unpacked"},
		{"\x28\xb5\x2f\xfdjunk", filedata.Options{}, "a Zstandard file that is damaged, or not complete"},
		{"SQLite format 3\x00", filedata.Options{}, "this is a SQLite database: export the table as CSV"},
		{"<!DOCTYPE html><html>", filedata.Options{}, "this is a web page"},
		{"\n<table><tr>", filedata.Options{},
			"this is a web page: download the file itself or, if Excel opens it, save it there as .xlsx"},
		{"<?xml version", filedata.Options{}, "this is an XML file: export the table as CSV or, if Excel opens it"},
		{"@RELATION churn\n@attribute age numeric\n", filedata.Options{}, "this is a Weka file (ARFF): save it as CSV"},
		{"CREATE TABLE x (a int);\n", filedata.Options{}, "this is an SQL script: run it in a database"},
		{"age plan left\n1 a yes\n2 b no\n", filedata.Options{},
			"left: the target column is missing: the file has age plan left: if " +
				"spaces are between its cells, put commas there"},
		{`[{"age":1}]`, filedata.Options{}, "this is a JSON file"},
		{"\ufeff[\n  {\n    \"age\": 1", filedata.Options{}, "this is a JSON file"},
		{"version https://git-lfs.github.com/spec/v1\n", filedata.Options{}, "a pointer to a file in Git LFS"},
		{"Customers of the month\n\n" + good + rows, filedata.Options{}, "leave it out with --skip-lines 2"},
		{"Customers of the month,,\nJune,,\n" + good + rows, filedata.Options{}, "leave it out with --skip-lines 2"},
		{strings.Repeat("a", 257) + "ustar\x00", filedata.Options{}, "this is a tar archive: unpack it"},
		{"\xff\x00\u0416", filedata.Options{}, "bytes of zero"},
		{"a\x00g\x00e\x00,\x00", filedata.Options{}, "bytes of zero"},
		{good + "\x81,a,yes\n", filedata.Options{}, "line 6 is not UTF-8, and the text is not Windows-1252 either"},
		{good, filedata.Options{Encoding: "klingon"}, `--encoding "klingon": not known`},
		{good, filedata.Options{Delimiter: "::"}, `--delimiter "::": one of , ; | and tab`},
		{"", filedata.Options{}, "the file is empty"},
		{good, filedata.Options{SkipLines: 9}, "the file is empty"},
	} {
		if _, _, err := prepare(t, write(t, "x", c.text), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.30q: %v, want %s", c.text, err, c.want)
		}
	}
}

// Workbooks are not always tables: what is odd about them is said with the worksheet and the cell.
func TestWorkbooksThatAreNotPlain(t *testing.T) {
	dir := workbooks(t)
	clients := filedata.Options{Sheet: "Clients"}
	text, notes, err := prepare(t, filepath.Join(dir, "times.xlsx"), clients)
	want := "age,at,code,left\n20,510,b,no\n21,0,a,yes\n22,1439,a,no\n23,1040,b,yes\n24,510,a,no\n"
	const times = "at: read as numbers, durations: 1:30 is 90"
	if err != nil || !slices.Equal(notes, []string{times}) || !strings.HasPrefix(text, want) {
		t.Errorf("%v, %q: %.100s", err, notes, text)
	}

	f, err := filedata.Open(t.Context(), filepath.Join(dir, "title.xlsx"), clients, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const title = "line 1 has one cell, the lines below have 4: if it is a title, leave it out with --skip-lines 1"
	if _, err := f.Read(""); err == nil || !strings.HasSuffix(err.Error(), title) {
		t.Errorf("a title: %v", err)
	}
	clients.SkipLines = 1
	if again, _, err := prepare(t, filepath.Join(dir, "title.xlsx"), clients); err != nil || again != text {
		t.Errorf("without the title: %v, %.100s", err, again)
	}

	_, notes, err = prepare(t, filepath.Join(dir, "odd.xlsx"), filedata.Options{Sheet: "Clients"})
	said := []string{
		`worksheet "Clients": C2:C4 is merged, the first of 2 such ranges: its first cell alone has a value`,
		`worksheet "Clients": A2 has a formula without a value, the first of 20 such cells, which are read as empty: ` +
			"open the workbook in a spreadsheet and save it",
		times,
	}
	if err == nil || !strings.Contains(err.Error(), "age: every cell is missing") || !slices.Equal(notes, said) {
		t.Errorf("%v, %q", err, notes)
	}
}

// Excel writes CSV in two bytes a letter where the language is Korean, Japanese or Chinese: that is named.
func TestEncodingsOfTwoBytes(t *testing.T) {
	for _, c := range []struct {
		plan string
		by   encoding.Encoding
		name []string
		said bool // without --encoding
	}{
		{"프리미엄", korean.EUCKR, []string{"euc-kr", "cp949"}, true},
		{"標準プラン", japanese.EUCJP, []string{"EUC-JP"}, true},
		{"データ表", japanese.ShiftJIS, []string{"shift_jis", "Shift-JIS", "cp932"}, true}, // 表 ends with a backslash
		{"基本套餐", simplifiedchinese.GBK, []string{"gbk", "gb2312", "gb18030"}, true},
		{"標準方案", traditionalchinese.Big5, []string{"big5", "cp950"}, true},
		{"ﾄｳｷｮｳ", japanese.ShiftJIS, []string{"shift-jis"}, true},                 // letters of UTF-8 by chance
		{"« QUALITÉ\u00a0»", charmap.Windows1252, []string{"windows-1252"}, true}, // as well
		{"標準プラン", japanese.ISO2022JP, []string{"iso-2022-jp"}, false},             // of ASCII alone
		{"標準プラン", utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM), []string{"utf-32", "utf-32le"}, true},
		{"標準プラン", utf32.UTF32(utf32.BigEndian, utf32.UseBOM), []string{"utf-32"}, false},
		{"Économique", charmap.Windows1252, []string{"windows-1252"}, false},
		{"Solução", charmap.Windows1252, []string{"ansi"}, false}, // two letters beyond ASCII stand together
	} {
		text, err := c.by.NewEncoder().String("plan,left\n" + strings.Repeat(c.plan+",yes\n"+c.plan+",no\n", 5))
		path := filepath.Join(t.TempDir(), "x.csv")
		if err := errors.Join(err, os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.name {
			got, _, err := prepare(t, path, filedata.Options{Encoding: name})
			if err != nil || !strings.Contains(got, c.plan+",yes") {
				t.Errorf("%s, %s: %v, %.40q", c.plan, name, err, got)
			}
		}
		_, _, err = prepare(t, path, filedata.Options{})
		if said := err != nil && strings.Contains(err.Error(), "--encoding"); said != c.said {
			t.Errorf("%s in %v: %v", c.plan, c.by, err)
		}
	}
}

// Bytes that an encoding does not have are an error: cells that differ in them alone would be the same.
func TestBytesThatAnEncodingDoesNotHave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	text := "plan,left\n" + strings.Repeat("a,yes\nb,no\n", 5000) + "\xcc\xee\xf1\xea\xe2\xe0,yes\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := prepare(t, path, filedata.Options{Encoding: "shift-jis"})
	if want := "line 10002 is not Shift JIS: name the file's encoding with --encoding"; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if got, _, err := prepare(t, path, filedata.Options{Encoding: "windows-1251"}); err != nil ||
		!strings.Contains(got, "Москва") {
		t.Errorf("%v", err)
	}
}

// How outcomes are read is said, as of other files.
func TestNotesOnOutcomes(t *testing.T) {
	s, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"left","positive":"1"},"features":[
		{"name":"age","type":"number"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.csv")
	if err := os.WriteFile(path, []byte("request_id;left\n\xe9a;1\nb;0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	_, _, err = filedata.ReadOutcomes(t.Context(), "drift", path, filedata.Options{}, s, &stderr)
	want := "drift: " + path + ": read as Windows-1252, since line 2 is not UTF-8 (its byte E9 is then 'é'): " +
		"--encoding names another\ndrift: " + path + ": cells are separated by semicolons\n"
	if err != nil || stderr.String() != want {
		t.Errorf("%v, %s", err, &stderr)
	}
	known := filedata.Options{Encoding: "iso-8859-2", Delimiter: ";"}
	_, _, err = filedata.ReadOutcomes(t.Context(), "drift", path, known, s, &stderr)
	if err != nil || stderr.String() != want {
		t.Errorf("with flags: %v, %s", err, &stderr)
	}
}
