package filedata_test

import (
	"archive/zip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/internal/filedata"
	"churn/internal/testing/need"
)

// workbooks writes those of testdata/workbooks.py.
func workbooks(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command(need.Python(t, "openpyxl"), "testdata/workbooks.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// read returns the text of files, as one table.
func read(t *testing.T, paths ...string) (text string, notes []string, err error) {
	t.Helper()
	f, err := filedata.OpenAll(t.Context(), paths, filedata.Options{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, err := f.Read("")
	if err != nil {
		return "", nil, err
	}
	all, err := io.ReadAll(source)
	return string(all), source.Notes, err
}

func TestDurationsInWorkbooksAreThoseOfCSV(t *testing.T) {
	dir := workbooks(t)
	want, _, err := read(t, filepath.Join(dir, "durations.csv"))
	got, notes, bad := read(t, filepath.Join(dir, "durations.xlsx"))
	if err := errors.Join(err, bad); err != nil || got != want || len(notes) > 0 {
		t.Errorf("%v, %q:\n%swant\n%s", err, notes, got, want)
	}
	text, notes, err := prepare(t, filepath.Join(dir, "durations.xlsx"), filedata.Options{})
	if row := strings.Repeat("204,", 13) + strings.Repeat("3,", 8) + "no\n"; err != nil || !strings.Contains(text, row) {
		t.Errorf("%v, %q: %s", err, notes, text)
	}
}

// Fractions of a day that were added up miss the hours, and midnight.
func TestHoursInWorkbooks(t *testing.T) {
	got, _, err := read(t, filepath.Join(workbooks(t), "hours.xlsx"))
	want := "since,day,month,clock,late,left\n2023-03-14,2023-03-15,2023-03-15,0:00,-0:30,yes\n"
	for hour := 1; hour < 24; hour++ {
		want += fmt.Sprintf("2023-03-14T%02d:00:00Z,2023-03-15,2023-03-15,%d:00,-0:30,yes\n", hour, hour)
	}
	want += "2023-03-15,2023-03-15,2023-03-15,0:00,-0:30,yes\n"
	if err != nil || got != want {
		t.Errorf("%v:\n%swant\n%s", err, got, want)
	}
}

// Old Macs count dates from 1904.
func TestDatesSince1904(t *testing.T) {
	got, _, err := read(t, filepath.Join(workbooks(t), "mac.xlsx"))
	if want := "since,at,for,left\n1904-01-02,2026-03-14T15:09:26Z,1:30:00,yes\n"; err != nil || got != want {
		t.Errorf("%v: %s want %s", err, got, want)
	}
}

// A text among numbers may have a point between thousands; in a column of texts prepare finds out.
func TestTextsAmongNumbersInAWorkbook(t *testing.T) {
	_, notes, err := read(t, filepath.Join(workbooks(t), "grouped.xlsx"))
	const want = `worksheet "Sheet": A2 is the text "1.234" among numbers, and read with a decimal point: ` +
		"make it a number in a spreadsheet if its point is one of thousands"
	if err != nil || !slices.Equal(notes, []string{want}) {
		t.Errorf("%v, %q, want %q", err, notes, want)
	}
}

func TestTwoHeadersInAWorkbook(t *testing.T) {
	path := filepath.Join(workbooks(t), "headers.xlsx")
	_, notes, err := read(t, path)
	const want = "line 1 has blank cells, line 2 texts alone: if that is the header, say --skip-lines 1"
	if err != nil || !slices.Contains(notes, want) {
		t.Errorf("%v, %q, want %q", err, notes, want)
	}
	f, err := filedata.Open(t.Context(), path, filedata.Options{SkipLines: 1}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s, err := f.Read(""); err != nil || len(s.Notes) != 1 {
		t.Errorf("without the first: %v, %q, want that a range is merged", err, s.Notes)
	}
}

func TestHiddenRowsInAWorkbook(t *testing.T) {
	dir := workbooks(t)
	shown, hidden := filepath.Join(dir, "shown.xlsx"), filepath.Join(dir, "hidden.xlsx")
	want, none, err := read(t, shown)
	got, notes, bad := read(t, hidden)
	if err := errors.Join(err, bad); err != nil || got != want || len(none) > 0 ||
		!slices.Equal(notes, []string{`worksheet "Clients": 3 hidden rows are read too`}) {
		t.Errorf("%v, %q and %q: %s", err, none, notes, got)
	}
	if both, _, err := read(t, shown, hidden); err != nil || strings.Count(both, "\n") != 42 {
		t.Errorf("both: %v, %d lines", err, strings.Count(both, "\n"))
	}
}

// workbook writes one with a worksheet and shared texts, both in XML.
func workbook(t *testing.T, sheet, texts string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.xlsx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for name, text := range map[string]string{
		"xl/workbook.xml":            `<workbook><sheets><sheet name="A" r:id="r1" xmlns:r="x"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<r><Relationship Id="r1" Target="/xl/worksheets/sheet1.xml"/></r>`,
		"xl/worksheets/sheet1.xml":   sheet,
		"xl/sharedStrings.xml":       texts,
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Programs write the XML of workbooks in different ways.
func TestXMLOfWorkbooks(t *testing.T) {
	const texts = `<sst><si><t>R&amp;D &lt;1&gt;</t></si>` +
		`<si><r><t xml:space="preserve">two </t></r><r><t>runs</t></r></si>` +
		`<si><t>読</t><rPh sb="0" eb="1"><t>よ</t></rPh></si><si><t><![CDATA[a<b]]></t></si><si/><si><t>end</t></si></sst>`
	const sheet = `<?xml version="1.0"?><x:worksheet xmlns:x='y'><x:sheetData>
<!-- <x:row><x:c><x:v>9</x:v></x:c></x:row> -->
<x:row><x:c t='s'><x:v>0</x:v></x:c><x:c t="s"><x:v>1</x:v></x:c><x:c t="s"><x:v>2</x:v></x:c></x:row>
<x:row r='3'><x:c r="B3" t="s"
 s="7"><x:v>3</x:v></x:c><x:c r="C3" t="inlineStr"><x:is><x:t>in
line</x:t></x:is></x:c></x:row><x:row/>
<x:row r="5"><x:c r="A5"/><x:c r="C5"><x:v>0.30000000000000004</x:v></x:c><x:c t="b"><x:v>1</x:v></x:c>
<x:c t="s"><x:v>5</x:v></x:c></x:row>
<x:row r="6"><x:c t="e"><x:v>#N/A</x:v></x:c><x:c t="str"><x:f>1</x:f><x:v>-7</x:v></x:c>
<x:c><x:v>-7</x:v></x:c></x:row>
</x:sheetData></x:worksheet>`
	const want = "R&D <1>,two runs,読\n\n,a<b,in line\n\n,,0.3,true,end\n#N/A,-7,-7\n"
	if got, notes, err := read(t, workbook(t, sheet, texts)); err != nil || got != want || len(notes) > 0 {
		t.Errorf("%v, %q: %q, want %q", err, notes, got, want)
	}
	for _, c := range []struct{ sheet, want string }{
		{sheet[:len(sheet)-20], "a worksheet that cannot be read: save it as CSV"},
		{`<worksheet><row><c t="s"><v>9</v></c></row></worksheet>`, `row 1 of the worksheet: a text "9" is missing`},
		{`<worksheet><row r="2"><c><v>9</v></c></row><row r="1"><c><v>9</v></c></row></worksheet>`,
			"the worksheet has a row 1 behind row 2"},
		{`<worksheet><row><c r="XFE1"><v>9</v></c></row></worksheet>`, "row 1 of the worksheet has a cell in column 16385"},
	} {
		if _, _, err := read(t, workbook(t, c.sheet, texts)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.sheet, err, c.want)
		}
	}
}

// A column has types if a cell has one, or if it has a header alone.
func TestTypesOfWorkbooks(t *testing.T) {
	const sheet = `<worksheet><row><c t="inlineStr"><is><t>a</t></is></c><c t="inlineStr"><is><t>b</t></is></c>
<c t="inlineStr"><is><t>c</t></is></c></row>
<row><c t="inlineStr"><is><t>1.024</t></is></c><c><v>1.024</v></c></row>
<row><c t="str"><v>2.048</v></c><c t="inlineStr"><is><t>x</t></is></c><c s="1"/></row></worksheet>`
	f, err := filedata.Open(t.Context(), workbook(t, sheet, "<sst/>"), filedata.Options{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s, err := f.Read(""); err != nil || !slices.Equal(s.Typed, []bool{false, true, true}) {
		t.Errorf("%v, %v", err, s.Typed)
	}
}

func FuzzWorksheet(f *testing.F) {
	f.Add(`<worksheet><row r="1" hidden='1'><c r="A1" t="s"><v>0</v></c><c><v>1e9</v></c></row></worksheet>`,
		"<si><t>a</t></si>")
	f.Add(`<x:worksheet/><!-- --><![CDATA[]]></:><c =""></c>`, "<rPh/><t/></si>")
	f.Fuzz(func(t *testing.T, sheet, texts string) {
		text, _, err := read(t, workbook(t, sheet, texts))
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = -1
		if _, bad := r.ReadAll(); err == nil && bad != nil {
			t.Errorf("%q: %v", text, bad)
		}
	})
}

// A small archive may unpack to a text that fills the memory, or repeat one.
func TestLongTextsInWorkbooks(t *testing.T) {
	long, part := strings.Repeat("a", 17<<20), strings.Repeat("a", 9<<20)
	for _, c := range []struct{ row, texts, want string }{
		{`<c t="inlineStr"><is><t>` + long + `</t></is></c>`, "<sst/>", "a text of more than 16 MB"},
		{`<c t="inlineStr"><is><t>` + part + `</t><t>` + part + `</t></is></c>`, "<sst/>", "a text of more than 16 MB"},
		{strings.Repeat(`<c t="s"><v>0</v></c>`, 2), "<sst><si><t>" + part + "</t></si></sst>",
			"row 1 of the worksheet has texts of more than 16 MB"},
	} {
		sheet := "<worksheet><row>" + c.row + "</row></worksheet>"
		if _, _, err := read(t, workbook(t, sheet, c.texts)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
