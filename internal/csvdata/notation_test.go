package csvdata

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// table writes columns of cells, separated by semicolons, with a target.
func table(columns ...[]string) Source {
	var b strings.Builder
	for j := range columns {
		fmt.Fprintf(&b, "c%d;", j)
	}
	b.WriteString("churn\n")
	for i := range columns[0] {
		for _, c := range columns {
			b.WriteString(c[i] + ";")
		}
		fmt.Fprintf(&b, "%d\n", i%2)
	}
	return Source{Reader: strings.NewReader(b.String()), File: "x.csv", Comma: ';'}
}

func TestNotationsAreFound(t *testing.T) {
	number := func(n dataset.Notation) dataset.Feature { return dataset.Feature{Type: dataset.Number, Notation: n} }
	for _, c := range []struct {
		cells string
		want  dataset.Feature
	}{
		{"12,5|7|-3,25", number(dataset.Notation{Decimal: ","})},
		{"12.5|7|3.25", number(dataset.Notation{})},
		{"1 234,5 €|7 €|12 €", number(dataset.Notation{Decimal: ",", Thousands: " ", Unit: "€"})},
		{"1.234,5|7|12", number(dataset.Notation{Decimal: ",", Thousands: "."})},
		{"1,234.5|7|12", number(dataset.Notation{Thousands: ","})},
		{"3%|50%|7%", number(dataset.Notation{Unit: "%"})},
		{"3%|0.5|7%", dataset.Feature{Type: dataset.Category}}, // shares beside percentages
		{"3 GB|4 MB|7 GB", dataset.Feature{Type: dataset.Category}},
		{"12,5|12.5|7", dataset.Feature{Type: dataset.Category}}, // two notations
		{"31/01/2025|01/02/2025|15/3/2025", number(dataset.Notation{Date: dataset.DayFirst, AsOf: "2025-03-15"})},
		{"01/31/2025|02/01/2025|3/15/2025", number(dataset.Notation{Date: dataset.MonthFirst, AsOf: "2025-03-15"})},
		{"2025-01-31|2025-02-01|2025-03-15 10:00", number(dataset.Notation{Date: dataset.YearFirst, AsOf: "2025-03-15"})},
		{"31/01/2025|31/02/2025|15/3/2025", dataset.Feature{Type: dataset.Category}}, // there is no such day
		{"01234|75001|69002", dataset.Feature{Type: dataset.Category}},               // post codes
		{"01|02|12", dataset.Feature{Type: dataset.Category}},
		{"00012.50|7|12", number(dataset.Notation{})},
		{"5|05|12", number(dataset.Notation{})},
		{"0|1|0", number(dataset.Notation{})},
		{"2G|3G|4G", dataset.Feature{Type: dataset.Category}},
		{"2 G|3 G|4 G", number(dataset.Notation{Unit: "G"})},
		{"2G|32G|4G", number(dataset.Notation{Unit: "G"})},
		{"5€|7€|9€", number(dataset.Notation{Unit: "€"})},
		{"C1|C2|C3", dataset.Feature{Type: dataset.Category}},
	} {
		s, _, err := Infer(t.Context(), table(strings.Split(c.cells, "|")), Inference{
			Target: dataset.Target{Name: "churn", Positive: "1"}})
		if err != nil {
			t.Errorf("%s: %v", c.cells, err)
		} else if f := s.Features[0]; f.Type != c.want.Type || f.Notation != c.want.Notation {
			t.Errorf("%s: %s with %+v, want %s with %+v", c.cells, f.Type, f.Notation, c.want.Type, c.want.Notation)
		}
	}
}

// Where cells fit two notations, the rest of the file decides, or a flag, and it is said.
func TestNotationsThatFitTwice(t *testing.T) {
	twice, comma, point := []string{"1.024", "7.000", "12"}, []string{"1,5", "2", "3"}, []string{"1.5", "2", "3"}
	for _, c := range []struct {
		columns [][]string
		o       Inference
		want    dataset.Notation
	}{
		{[][]string{twice, comma}, Inference{}, dataset.Notation{Decimal: ",", Thousands: "."}},
		{[][]string{twice, point}, Inference{}, dataset.Notation{}},
		{[][]string{twice}, Inference{}, dataset.Notation{Decimal: ",", Thousands: "."}}, // semicolons
		{[][]string{twice}, Inference{Decimal: "."}, dataset.Notation{}},
		{[][]string{twice, point}, Inference{Decimal: ","}, dataset.Notation{Decimal: ",", Thousands: "."}},
		{[][]string{twice, point}, Inference{Thousands: "."}, dataset.Notation{Decimal: ",", Thousands: "."}},
		{[][]string{{"1,024", "7,000", "12"}, comma}, Inference{Thousands: ","}, dataset.Notation{Thousands: ","}},
		{[][]string{{"1,024", "7,000", "12"}, point}, Inference{}, dataset.Notation{Thousands: ","}},
		{[][]string{{"1,024", "7,000", "12"}, comma}, Inference{}, dataset.Notation{Decimal: ","}},
		{[][]string{{"1/2/2025", "3/4/2025", "5/6/2025"}}, Inference{},
			dataset.Notation{Date: dataset.DayFirst, AsOf: "2025-06-05"}},
		{[][]string{{"1/2/2025", "3/4/2025", "5/6/2025"}}, Inference{Dates: []string{dataset.MonthFirst}, AsOf: "2026-01-01"},
			dataset.Notation{Date: dataset.MonthFirst, AsOf: "2026-01-01"}},
	} {
		c.o.Target = dataset.Target{Name: "churn", Positive: "1"}
		s, notes, err := Infer(t.Context(), table(c.columns...), c.o)
		if err != nil {
			t.Error(err)
			continue
		}
		said := slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, "c0: ") })
		if s.Features[0].Notation != c.want || !said {
			t.Errorf("%v with %+v: %+v, want %+v; said: %q", c.columns, c.o, s.Features[0].Notation, c.want, notes)
		}
	}
	_, _, err := Infer(t.Context(), table([]string{"1/2/2025", "3/4/2025", "5/6/2025"}), Inference{
		Target: dataset.Target{Name: "churn", Positive: "1"}, AsOf: "2025-01-01"})
	if err == nil || !strings.Contains(err.Error(), "is before all dates, of which the first is 2025-02-01") {
		t.Errorf("an early --as-of: %v", err)
	}
}

// One mark cannot stand for two things.
func TestMarksThatAreEqual(t *testing.T) {
	for _, mark := range []string{".", ","} {
		_, _, err := Infer(t.Context(), table([]string{"1", "2", "3"}), Inference{
			Target: dataset.Target{Name: "churn", Positive: "1"}, Decimal: mark, Thousands: mark})
		if err == nil || !strings.Contains(err.Error(), "two different marks") {
			t.Errorf("%s: %v", mark, err)
		}
	}
}

// Numbers are dates where the user says so, and only there.
func TestDatesThatAreNamed(t *testing.T) {
	const at = "signed_at;fee;churn\n"
	for _, c := range []struct {
		file, dates string
		want        dataset.Notation
		said        string
	}{
		{"45716;1;0\n45717;2;1\n", "", dataset.Notation{},
			"signed_at: whole numbers that could be dates: --dates signed_at=excel reads them so"},
		{"1740787200;1;0\n1740000000;2;1\n", "", dataset.Notation{},
			"signed_at: whole numbers that could be dates: --dates signed_at=epoch reads them so"},
		{"1740787200000;1;0\n1740000000000;2;1\n", "", dataset.Notation{},
			"signed_at: whole numbers that could be dates: --dates signed_at=epoch-ms reads them so"},
		{"20250301;1;0\n20250228;2;1\n", "", dataset.Notation{},
			"signed_at: whole numbers that could be dates: --dates signed_at=ymd reads them so"},
		{"20250301.0;1;0\n20250228.0;2;1\n", "", dataset.Notation{}, // as pandas writes them beside blanks
			"signed_at: whole numbers that could be dates: --dates signed_at=ymd reads them so"},
		{"20250228.0;1;0\n20250301.0;2;1\n", "signed_at=ymd", dataset.Notation{Date: dataset.YearFirst, AsOf: "2025-03-01"},
			"signed_at: read as dates with the year first: days before 2025-03-01"},
		{"45716.5;1;0\n45717.25;2;1\n", "", dataset.Notation{}, ""},
		{"03.2022;1;0\n12.2021;2;1\n", "", dataset.Notation{},
			`signed_at: "03.2022" is read as a number: if it is a month, write it as a date, such as 2022-03-01`},
		{"03.2022;1;0\n12.2521;2;1\n", "", dataset.Notation{}, ""},
		{"24-03-15;1;0\n23-12-16;2;1\n", "", dataset.Notation{Date: dataset.DayFirst, AsOf: "2016-12-23"},
			"signed_at: read as dates with the day first: days before 2016-12-23; " +
				`"24-03-15" is 2015-03-24: where the year is first, write it with four digits`},
		{"24-03-15;1;0\n23-12-16;2;1\n", "dmy", dataset.Notation{Date: dataset.DayFirst, AsOf: "2016-12-23"},
			"signed_at: read as dates with the day first: days before 2016-12-23"},
		{"24-03-15;1;0\n23-12-99;2;1\n", "", dataset.Notation{Date: dataset.DayFirst, AsOf: "2015-03-24"},
			"signed_at: read as dates with the day first: days before 2015-03-24"},
		{"45716;1;0\n45717;2;1\n", "signed_at=excel", dataset.Notation{Date: dataset.ExcelSerial, AsOf: "2025-03-01"},
			"signed_at: read as dates as Excel counts days: days before 2025-03-01"},
		{"20250228;1;0\n20250301;2;1\n", "signed_at=ymd", dataset.Notation{Date: dataset.YearFirst, AsOf: "2025-03-01"},
			"signed_at: read as dates with the year first: days before 2025-03-01"},
		{"1/2/2025;1;0\n3/1/2025;2;1\n", "dmy,signed_at=mdy", dataset.Notation{Date: dataset.MonthFirst, AsOf: "2025-03-01"},
			"signed_at: read as dates with the month first: days before 2025-03-01"},
		{"2025-03-01T10:00:00+02:00;1;0\n2025-02-28T10:00:00Z;2;1\n", "",
			dataset.Notation{Date: dataset.YearFirst, AsOf: "2025-03-01"},
			"signed_at: read as dates with the year first: days before 2025-03-01; " +
				"times of day are left out, and zones: the date is the one that is written"},
		{"7;1;0\n45717;2;1\n", "", dataset.Notation{}, ""},
	} {
		o := Inference{Target: dataset.Target{Name: "churn", Positive: "1"}}
		if c.dates != "" {
			o.Dates = strings.Split(c.dates, ",")
		}
		s, notes, err := Infer(t.Context(), Source{Reader: strings.NewReader(at + c.file), File: "x.csv", Comma: ';'}, o)
		if err != nil || s.Features[0].Notation != c.want || strings.Join(notes, "|") != c.said {
			t.Errorf("%s %s: %+v, %v, said %q", c.file, c.dates, s, err, notes)
		}
	}
	for dates, want := range map[string]string{
		"fee=epoch,nobody=ymd": "x.csv:1: nobody: the column of --dates is missing: the file has signed_at, fee, churn",
		"signed_at=excel":      "x.csv: signed_at: --dates signed_at=excel: the column's dates are not written so",
		"excel": `--dates "excel": ymd, dmy or mdy; of one column such as joined=excel: ` +
			"these, excel, epoch, epoch-ms, month or weekday",
	} {
		o := Inference{Target: dataset.Target{Name: "churn", Positive: "1"}, Dates: strings.Split(dates, ",")}
		source := Source{Reader: strings.NewReader(at + "a;1;0\nb;2;1\n"), File: "x.csv", Comma: ';'}
		_, _, err := Infer(t.Context(), source, o)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", dates, err, want)
		}
	}
}

func TestColumnsWithoutANameAndByPlace(t *testing.T) {
	const file = ",id,age,churn\n0,a,1,yes\n1,b,2,NO\n"
	s, notes, err := Infer(t.Context(), Source{Reader: strings.NewReader(file), File: "x.csv"}, Inference{
		Target: dataset.Target{Name: "churn", Positive: "1"}, Positive: true, Ignore: []string{"#2"}})
	if err != nil || len(s.Features) != 1 || s.Features[0].Name != "age" || s.Target.Positive != "yes" {
		t.Errorf("%+v, %v", s, err)
	}
	if want := []string{"column 1 has no name: it is left out",
		`churn: "yes" is taken as positive: --positive says otherwise`}; !slices.Equal(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
}

func TestBlanksThatGoWithALevel(t *testing.T) {
	var b strings.Builder
	b.WriteString("gigabytes,internet,churn\n")
	for i := range 40 {
		if i%4 == 0 {
			fmt.Fprintf(&b, ",no,%d\n", i%2)
		} else {
			fmt.Fprintf(&b, "%d,yes,%d\n", i, i%2)
		}
	}
	s := parse(t, schemaOf(`{"name":"gigabytes","type":"number"},{"name":"internet","type":"category"}`))
	_, _, err := Clean(t.Context(), Source{Reader: strings.NewReader(b.String()), File: "x.csv"}, nil, s,
		dataset.Limits{MaxMissing: 0.05}, io.Discard)
	want := "x.csv: gigabytes: 25.0 % missing, at most 5 % " +
		"(10 of 40 rows, lines 2, 6, 10, 14, 18, …, blank exactly where internet is no): if a blank means something, " +
		"--max-missing 0.25 keeps it, with a weight of its own"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// One cell that is written otherwise makes a category of a column, which is said.
func TestTheCellThatIsWrittenOtherwise(t *testing.T) {
	const mixed = "its cells are numbers or dates in several notations, "
	days, sums := "", ""
	for day := range 28 {
		sums += fmt.Sprintf("|%d,25", day)
		days += fmt.Sprintf("|%d/7/2025", day+1)
	}
	for cells, want := range map[string]string{
		"12,5|7|3,25|n/a|1":                              `"n/a" in line 5 is not written as 3 other cells are`,
		"n/a|12,5|7|3,25|4,75":                           `"n/a" in line 2 is not written as 3 other cells are`,
		"-|n/a|12,5|7|3,25|4,75":                         `"-" in line 2 is not written as 3 other cells are`,
		"-|1-Jan-24|2-Jan-24|3-Feb-24":                   `"-" in line 2 is not written as 3 other cells are`,
		"12,5|7|3,25|4.5|1":                              `"4.5" in line 5 is not written`,
		"3%|5%|7%|0.5|1%":                                `"0.5" in line 5 is not written`,
		"19,99|9,5|39.99|1.5|9,25":                       mixed + `such as "19,99" in line 2 and "39.99" in line 4`,
		"٣٫٥|١٢|٧":                                       `cells such as "٣٫٥" have other digits than 0 to 9`,
		"１２|３|12":                                        `cells such as "１２" have other digits than 0 to 9`,
		"\u200e15/03/2024|\u200e16/03/2024|1/3/2024":     `cells such as "\u200e15/03/2024" have other digits`,
		"0.07|8%|0.5|9%":                                 mixed + `such as "0.07" in line 2 and "8%" in line 3`,
		"1/2/2025|2025-03-14|13/2/2025|2025-03-15":       mixed + `such as "1/2/2025" in line 2 and "2025-03-14" in line 3`,
		"1/2/2025|31/02/2025|5/6/2025" + days:            `"31/02/2025" in line 3 is not written as 30 other cells are`,
		"2/3/2025|x|31/02/2025|5/6/2025" + days:          `"x" in line 3, "31/02/2025" in line 4 are not written as 30 other`,
		"12.50" + sums:                                   `"12.50" in line 2 is not written as 28 other cells are`,
		"1/2/2025|3/4/2025|5/6/2025|31/02/2025|1/1/2025": `"31/02/2025" in line 5 is not written`,
	} {
		var limits dataset.Limits
		s, notes, err := Infer(t.Context(), table(strings.Split(cells, "|")), Inference{
			Target: dataset.Target{Name: "churn", Positive: "1"}, Limits: &limits})
		if err != nil || s.Features[0].Type != dataset.Category || len(notes) != 1 ||
			!strings.HasPrefix(notes[0], "c0: a category, since "+want) ||
			len(limits.Several) == 0 && !strings.HasPrefix(want, "cells such as") {
			t.Errorf("%s: %v, %q, %q", cells, err, notes, limits.Several)
		}
	}
}

// A flag that was given is not advised, and a word for yes is found by one for no.
func TestNotesOfFlagsThatWereGiven(t *testing.T) {
	text := "fee,churn\n" + strings.Repeat("1.024,Ja\n2.048,Nei\n", 5)
	_, notes, err := Infer(t.Context(), Source{Reader: strings.NewReader(text), File: "x.csv", Comma: ','}, Inference{
		Target: dataset.Target{Name: "churn", Positive: "1"}, Positive: true, Decimal: ","})
	want := []string{`churn: "Ja" is taken as positive: --positive says otherwise`,
		"fee: read as numbers, decimal comma, points between thousands, as --decimal says"}
	if err != nil || !slices.Equal(notes, want) {
		t.Errorf("%v, %q, want %q", err, notes, want)
	}
}

// What is taken for a name is named, not the missing cell before it.
func TestNamesThatReadAsNumbers(t *testing.T) {
	_, notes, err := Infer(t.Context(), table([]string{"", "4G", "5G"}), Inference{
		Target: dataset.Target{Name: "churn", Positive: "1"}})
	if err != nil || len(notes) != 1 || !strings.HasPrefix(notes[0], `c0: "4G" is taken for a name`) {
		t.Errorf("%v, %q", err, notes)
	}
}

func TestLevelsThatLookAlike(t *testing.T) {
	const by = `are two levels: "map" in the schema makes them one`
	for cells, want := range map[string]string{
		"a b|a\u00a0b|x": `c0: "a b" and "a\u00a0b", which differ in U+00A0, ` + by,
		"gold|gol\u00add|GOLD": `c0: "gold" and "gol\u00add", which differ in U+00AD, ` + by +
			"; 1 more look like another",
		"👨👩|👨\u200d👩|x":               `c0: "👨👩" and "👨\u200d👩", which differ in U+200D, ` + by,
		"b\u0430sic|basic|x":          "c0: \"b\u0430sic\" and \"basic\", which differ in U+0430, " + by,
		"Straße|STRASSE|x":            `c0: "Straße" and "STRASSE", which differ in U+0074, ` + by,
		"ＡＢ|AB|x":                     `c0: "ＡＢ" and "AB", which differ in U+FF21, ` + by,
		"Basic|basic|x":               `c0: "Basic" and "basic" are two levels: "case": "lower" in the schema makes them one`,
		"caf\u00e9|cafe\u0301|café":   "",
		"café|cafe|a|b|1st|2nd|नि|नी": "",
	} {
		_, notes, err := Infer(t.Context(), table(strings.Split(cells, "|")), Inference{
			Target: dataset.Target{Name: "churn", Positive: "1"}})
		if said := strings.Join(notes, "|"); err != nil || said != want {
			t.Errorf("%q: %v, said %s, want %s", cells, err, said, want)
		}
	}
}

func TestDatesOfAnotherCalendar(t *testing.T) {
	cells := []string{"15/03/2567", "16/03/2567"}
	o := Inference{Target: dataset.Target{Name: "churn", Positive: "1"}}
	if _, _, err := Infer(t.Context(), table(cells), o); err == nil || !strings.Contains(err.Error(),
		"c0: all its dates are after the year 2200: leave it out with --ignore") {
		t.Errorf("Infer = %v", err)
	}
	o.AsOf = "2567-04-01"
	if s, _, err := Infer(t.Context(), table(cells), o); err != nil || s.Features[0].AsOf != o.AsOf {
		t.Errorf("Infer with --as-of = %+v, %v", s, err)
	}
}

func TestLinesOfNothingButDelimiters(t *testing.T) {
	s := parse(t, schemaOf(`{"name":"age","type":"number"},{"name":"plan","type":"category"}`))
	q, rows := accepted(t, s, "age,plan,churn\n1,a,0\n,,\n2,b,1\n,,\n,,\n", dataset.Limits{})
	if q.RowsBlank != 3 || q.RowsRead != 2 || len(rows) != 2 {
		t.Errorf("%d blank lines, %d rows read, %d kept", q.RowsBlank, q.RowsRead, len(rows))
	}
	for _, before := range []string{",,\n", ",\n,,,\n"} {
		if _, rows := accepted(t, s, before+"age,plan,churn\n1,a,0\n2,b,1\n", dataset.Limits{}); len(rows) != 2 {
			t.Errorf("behind %q: %d rows", before, len(rows))
		}
	}
}

// A file that has types is read by them, whatever notation a file of texts had in training.
func TestTypedFiles(t *testing.T) {
	s := parse(t, schemaOf(`{"name":"fee","type":"number","decimal":",","thousands":"."},
		{"name":"since","type":"number","date":"dmy","as_of":"2025-03-01"}`))
	var fees strings.Builder // text cells of a workbook beside those with a type
	source := Source{Reader: strings.NewReader("fee,paid,churn\n1.024,1.024,0\n\"2,5\",2.5,1\n"), File: "x.xlsx",
		Typed: []bool{false, true, true}}
	own := parse(t, schemaOf(`{"name":"fee","type":"number","decimal":",","thousands":"."},
		{"name":"paid","type":"number","decimal":",","thousands":"."}`))
	_, _, err := Clean(t.Context(), source, nil, own, dataset.Limits{}, &fees)
	if _, rows, _ := strings.Cut(fees.String(), "\n"); err != nil || rows != "1024,1.024,0\n2.5,2.5,1\n" {
		t.Errorf("texts beside numbers: %v, %q", err, rows)
	}
	counted := parse(t, schemaOf(`{"name":"fee","type":"number"},
		{"name":"since","type":"number","date":"epoch","as_of":"2025-03-01"}`))
	for _, c := range []struct {
		s          *dataset.Schema
		typed      bool
		text, want string
	}{
		{counted, true, "fee,since,churn\n1.024,1740787199,0\n2.5,1740787200,1\n", "1.024,1,0\n2.5,0,1\n"},
		{counted, false, "fee,since,churn\n1.024,1740787199,0\n2.5,1740787200,1\n", "1.024,1,0\n2.5,0,1\n"},
		{s, true, "fee,since,churn\n1.024,2025-02-28,0\n2.5,2025-03-01,1\n", "1.024,1,0\n2.5,0,1\n"},
		{s, false, "fee,since,churn\n1.024,28/02/2025,0\n\"2.500,00\",1.3.2025,1\n", "1024,1,0\n2500,0,1\n"},
	} {
		var out strings.Builder
		var typed []bool
		if c.typed {
			typed = []bool{true, true, true}
		}
		source := Source{Reader: strings.NewReader(c.text), File: "x.csv", Typed: typed}
		_, _, err := Clean(t.Context(), source, nil, c.s, dataset.Limits{}, &out)
		if _, rows, _ := strings.Cut(out.String(), "\n"); err != nil || rows != c.want {
			t.Errorf("typed %v: %v, %q, want %q", c.typed, err, rows, c.want)
		}
	}
}
