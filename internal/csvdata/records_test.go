package csvdata

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"churn/internal/dataset"
)

// plain is a schema of one category, so that any text is a value.
func plain(t *testing.T) *dataset.Schema {
	return parse(t, schemaOf(`{"name":"plan","type":"category"}`))
}

func TestByteOrderMarkAndLineEnds(t *testing.T) {
	check := func(text string, want ...string) {
		t.Helper()
		_, rows := accepted(t, plain(t), text, dataset.Limits{})
		for i, r := range rows {
			if len(rows) != len(want) || r.Cells[0] != want[i] {
				t.Errorf("Scan(%q) = %v, want %q", text, rows, want)
				return
			}
		}
	}
	check("plan,churn\na,1\nb,0\n", "a", "b")
	check("plan,churn\na,1\nb,0", "a", "b")
	check("plan,churn\r\na,1\r\nb,0\r\n", "a", "b")
	check("\xef\xbb\xbfplan,churn\na,1\nb,0\n", "a", "b")
	check("\xef\xbb\xbf\"plan\",\"churn\"\na,1\nb,0\n", "a", "b")
	check("plan,churn\n\n\na,1\n\nb,0\n\n", "a", "b") // empty lines are not rows
	check("plan,churn\n\"a, \"\"b\"\"\",1\n\"c\nd\",0\n", `a, "b"`, "c\nd")
}

func TestMalformedFiles(t *testing.T) {
	check := func(text string, want ...string) { t.Helper(); rejected(t, plain(t), text, dataset.Limits{}, want...) }
	check("", "x.csv: the file is empty: it needs a header line")
	check("\xef\xbb\xbf", "x.csv: the file is empty: it needs a header line")
	check("\n\n", "x.csv: the file is empty: it needs a header line")
	check("plan,churn\n", "x.csv: the file has a header but no rows")
	check("plan,churn\na,1\nb,0,\nc\nd,0\n", "x.csv:3: 3 cells, the header has 2 (2 times, lines 3, 4)")
	check("plan,churn\n1,a,1\n2,b,0\n",
		"x.csv:2: 3 cells, the header has 2: if every line has one more, name that column in the header, "+
			"too (2 times, lines 2, 3)")
	check("plan,churn\na,1\n\"b\",0\nc;1\n", `x.csv:4: 1 cells, the header has 2: its cells seem to be separated by ';', `+
		"those of the header by ','")
	check("plan,churn\na,1\n \nb,0\n", "x.csv:3: 1 cells, the header has 2")
	check("plan,churn\na,1\nb\xe9,0\nc,0\n",
		"x.csv:3: cell 1 is not UTF-8 text: name its encoding with --encoding, such as windows-1252")
	check("plan,ch\xffurn\na,1\n",
		"x.csv:1: cell 2 is not UTF-8 text: name its encoding with --encoding, such as windows-1252")
	check("\xff\xfep\x00l\x00",
		"x.csv:1: cell 1 is not UTF-8 text: name its encoding with --encoding, such as windows-1252")
	check("plan,churn,plan\na,1,a\nb,0,b\n",
		"x.csv:1: plan: the column is there twice: leave out the second with --ignore '#3', or rename it")
	check("plan, churn,id, id \na,1,a,a\nb,0,b,b\n",
		"x.csv:1: id: the column is there twice: leave out the second with --ignore '#4', or rename it")
	check("plan,churn,, \na,1,,\nb,0,,\n",
		"x.csv:1: #3: the schema does not know this column: add it there, or ignore it with --ignore",
		"x.csv:1: #4: the schema does not know this column: add it there, or ignore it with --ignore")
	check("plan,churn\na,1\nb,0\nc\"c,0\n",
		`x.csv:4: not CSV: bare " in non-quoted-field: a quote belongs around the whole cell; write ="001" as 001`)
	check("plan,churn\na,1\nb,0\n\"c\n,0\n", `x.csv:4: not CSV: extraneous or missing " in quoted-field`)
}

func TestOtherSeparatorsAreRecognised(t *testing.T) {
	for _, text := range []string{"plan;churn\na;1\n", "plan\tchurn\na\t1\n", "plan|churn\na|1\n"} {
		_, _, err := scan(plain(t), text, dataset.Limits{})
		if err == nil || !strings.Contains(err.Error(), "x.csv:1: only one column: cells must be separated by commas") {
			t.Errorf("Scan(%q): %v, want a word on commas", text, err)
		}
	}
}

// After a stray quote the rest is not read, so nothing can be said about whole columns.
func TestStrayQuoteIsTheOnlyIssue(t *testing.T) {
	rejected(t, plain(t), "plan,churn\na,0\na,0\n\"a\"b,1\nc,1\n", dataset.Limits{},
		`x.csv:4: not CSV: extraneous or missing " in quoted-field`)
	rejected(t, plain(t), "plan,churn\n,1\n,0\n\"a\"b,1\nc,1\n", dataset.Limits{},
		`x.csv:4: not CSV: extraneous or missing " in quoted-field`)
}

func TestLinesAreCountedThroughQuotedBreaks(t *testing.T) {
	s := people(t)
	rejected(t, s, "age,plan,churn\n1,\"a\n\nb\",1\nx,c,0\n1,\"d\ne\",0\ny,f,0\n", dataset.Limits{},
		`x.csv:5: age: "x" is not a number (2 times, lines 5, 8)`)
	rejected(t, s, "\"age\",\"id\n2\",plan,churn\n1,1,a,1\n", dataset.Limits{},
		`x.csv:1: "id\n2": the schema does not know this column: add it there, or ignore it with --ignore`,
		`x.csv: churn: every row is "1": a target has two values`)
	rejected(t, s, "age,plan,churn\r\n1,\"a\r\nb\",1\r\n\r\nx,c,0\r\n", dataset.Limits{},
		`x.csv:5: age: "x" is not a number`)
	// A record begins on its first line, wherever its bad cell is.
	rejected(t, s, "plan,age,churn\n\"a\n\n\",x,1\nb,2,0\n", dataset.Limits{}, `x.csv:2: age: "x" is not a number`)
}

// A read error is not a validation error.
func TestReadErrorIsNoValidationError(t *testing.T) {
	broken := errors.New("input/output error")
	check := func(begin string) {
		t.Helper()
		_, err := ReadTable(t.Context(), Source{Reader: io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken)),
			File: "x.csv"},
			plain(t), dataset.Limits{})
		var invalid *dataset.ValidationError
		if !errors.Is(err, broken) || errors.As(err, &invalid) || !strings.HasPrefix(err.Error(), "x.csv: ") {
			t.Errorf("Scan of %q and an error: %v, want that error after the file's name", begin, err)
		}
	}
	check("")
	check("plan,ch")
	check("plan,churn\na,1\n")
}

// A header may have names composed otherwise than the schema, which has them composed.
func TestNamesAreComposed(t *testing.T) {
	for _, names := range [][2]string{{"\u00e9", "e\u0301"}, {"e\u0301", "\u00e9"}} {
		s, err := infer(names[0]+",u\u0308,id\n1,Yes,x\n2,No,y\n", "\u00fc", []string{"id"}, nil)
		if err != nil || s.Features[0].Name != "\u00e9" {
			t.Fatalf("%q: %+v, %v", names, s, err)
		}
		accepted(t, s, names[1]+",\u00fc\n1,Yes\n2,No\n", dataset.Limits{})
	}
	if at := Place([]string{"a", "\u00e9"}, "e\u0301"); at != 1 {
		t.Errorf("Place = %d, want 1", at)
	}
}
