package predictor

import (
	"regexp"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/unicode/norm"
)

// A CSV body is read with the delimiters and encodings of the files that prepare reads.
func TestCSVAsPeopleSaveIt(t *testing.T) {
	limits := usual
	limits.Memory = 1 << 20
	s := startWith(t, limits, func(*Predictor) {})
	s.train(1)
	body := strings.TrimPrefix(strings.Replace(batchCSV, `"EU"`, `"ÉU"`, 1), "\xef\xbb\xbf")
	encode := func(e interface{ String(string) (string, error) }, text string) string {
		t.Helper()
		encoded, err := e.String(text)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	semicolons := strings.ReplaceAll(body, ",", ";")
	windows := encode(charmap.Windows1252.NewEncoder(), semicolons)
	little := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder()
	big := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder()
	for name, text := range map[string]string{
		"semicolons": semicolons, "tabs": strings.ReplaceAll(body, ",", "\t"), "bars": strings.ReplaceAll(body, ",", "|"),
		"UTF-8 with a mark": "\xef\xbb\xbf" + semicolons, "Excel's own line": "sep=;\r\n" + semicolons,
		"UTF-16": encode(little, semicolons), "UTF-16, big": encode(big, body), "Windows-1252": windows,
		"lines of delimiters": body + ",,,,,,\n , ,,,,,\n",
		"carriage returns":    strings.ReplaceAll(body, "\n", "\r"), "CRLF": strings.ReplaceAll(semicolons, "\n", "\r\n"),
	} {
		guess := map[bool]string{true: "windows-1252"}[text == windows]
		answer, got := s.ask("POST", "/predict/batch", text, "Content-Type: text/csv")
		if answer.StatusCode != 200 || !strings.Contains(got, "\na,1,0.") || !strings.Contains(got, "\nb,0,0.") ||
			!strings.Contains(got, "ÉU") || answer.Header.Get("X-Read-As") != guess {
			t.Errorf("%s: %d %s %v", name, answer.StatusCode, got, answer.Header)
		}
		if status, _, got := s.send("/invocations", "text/csv", text); status != 200 || got != `{"predictions":[1,0]}`+"\n" {
			t.Errorf("%s: /invocations: %d %s", name, status, got)
		}
		status, _, got := s.send("/what-if/batch", "text/csv", text)
		if status != 200 || !strings.Contains(got, "b,ÉU,premium,40,0,50,,2,0.") {
			t.Errorf("%s: /what-if/batch: %d %s", name, status, got)
		}
	}

	// Columns that prepare left out by place: one without a name, and one that is there twice.
	m := labModel(t, 2)
	m.Schema.Ignore = append(m.Schema.Ignore, "#8", "#9 region")
	s.publish(m)
	head, rows, _ := strings.Cut(body, "\n")
	odd := head + ",,region\n" + strings.ReplaceAll(rows, "\n", ",x,y\n")
	for _, path := range []string{"/predict/batch", "/what-if/batch", "/invocations"} {
		if status, _, got := s.send(path, "text/csv", odd); status != 200 {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
	odd = strings.Replace(odd, ",,region", ",,churn", 1)
	if status, _, got := s.send("/predict/batch", "text/csv", odd); status != 422 {
		t.Errorf("another one twice: %d %s", status, got)
	}

	for text, want := range map[string]string{
		strings.Replace(semicolons, "21.5", "21,5", 1): `{"detail":[{"loc":["body",0,"avg_session_minutes"],"msg":` +
			`"value is not a valid float: decimal commas are read where the training data had them"`,
		strings.Replace(windows, "NA", "\x81", 1): `neither UTF-8, UTF-16 with a byte order mark nor Windows-1252`,

		encode(little, semicolons)[2:]:                   `not CSV: neither UTF-8`,
		strings.Replace(semicolons, "b;", "b;b;", 1):     `{"loc":["body",3],"msg":"not CSV: wrong number of fields"`,
		strings.Replace(semicolons, "plan_type", "p", 1): `{"loc":["body","header","p"],"msg":"extra fields not permitted`,
	} {
		if status, _, got := s.send("/predict/batch", "text/csv", text); status != 422 || !strings.Contains(got, want) {
			t.Errorf("%.60q: %d %s, want %s", text, status, got, want)
		}
	}
	m = labModel(t, 3)
	m.Schema.Features[2].Notation = dataset.Notation{Decimal: ",", Unit: "€"}
	s.publish(m)
	const why = "value is not a valid float: plain in JSON, such as 1234.5, and in text/csv as exported: " +
		"numbers, decimal comma, unit €"
	s.expect("POST", "/predict", strings.Replace(customer, "21.5", `"21,50 €"`, 1), 422, why)
	for cell, want := range map[string]string{"21,50 €": "\na,1,0.", "21,5 $": why} {
		_, _, got := s.send("/predict/batch", "text/csv", strings.Replace(semicolons, "21.5", cell, 1))
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", cell, got, want)
		}
	}
	long := windows + strings.Repeat("c;NA;basic;1;1;1;\n", 5000) // six times what is to be decoded counts
	if status, _, got := s.send("/predict/batch", "text/csv", long); status != 413 || !strings.Contains(got, "1048576") {
		t.Errorf("a long one: %d %s", status, got)
	}
	if held := s.predictor.budget.Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// A client on a Mac may send é as an e and an accent, in names and in cells.
func TestTextsThatAreNotComposed(t *testing.T) {
	schema, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"left","positive":"1"},"features":[
		{"name":"âge","type":"number"},{"name":"ville","type":"category"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	table := dataset.NewTable(schema)
	for i := range 200 {
		values := []dataset.Value{{Number: float64(i % 7)}, {Text: []string{"Orléans", "Nice"}[i%2], Level: true}}
		table.Append(&dataset.Row{Values: values, Positive: i%3 == 0 || i%2 == 0 && i%5 == 0})
	}
	o := model.Options{Version: "v1", Seed: 1, TestSize: 0.25, C: 1, ClassWeight: model.WeightNone, Tune: model.TuneF1}
	m, err := model.Train(t.Context(), model.InMemory(table), o)
	if err != nil {
		t.Fatal(err)
	}
	m.TrainedAtUTC = "2026-01-01T12:00:00Z"
	s := start(t)
	s.publish(m)
	const split = `{"dataframe_split": {"columns": ["âge", "ville"], "data": [[3, "Orléans"]]}}`
	for _, c := range []struct{ path, media, body string }{
		{"/predict", "application/json", `{"âge": 3, "ville": "Orléans"}`},
		{"/predict/batch", "text/csv", "âge,ville\n3,Orléans\n"},
		{"/invocations", "application/json", split},
	} {
		_, _, want := s.send(c.path, c.media, c.body)
		status, _, got := s.send(c.path, c.media, norm.NFD.String(c.body))
		part := regexp.MustCompile(`,[01],0\.[0-9]+|"probability":[0-9.]+|ns":.*`)
		if status != 200 || part.FindString(got) != part.FindString(want) || strings.Contains(got, "training rows") {
			t.Errorf("%s: %d %s, want %s", c.path, status, got, want)
		}
	}
	s.expect("POST", "/predict", "{\"âge\": 3, \"a\u0302ge\": 4, \"ville\": \"Nice\"}", 422, "duplicate")
	_, _, got := s.send("/predict/batch", "text/csv", "âge,a\u0302ge,ville\n3,4,Nice\n")
	if !strings.Contains(got, "twice") {
		t.Error(got)
	}
}
