package csvdata

import (
	"bytes"
	"encoding/csv"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/testing/fuzzing"
)

// FuzzClean: train reads what prepare writes as the same values, and prepare would write
// it again. The schema is inferred from the file.
func FuzzClean(f *testing.F) {
	f.Add([]byte("age,plan,churn\n30,a,1\n,b,0\n"), "?")
	f.Add([]byte("\xef\xbb\xbfage,\" plan \",churn,id\r\n"+
		"-1,\"a\nb\",1,\"\"\"\"\r\n121,?,0,\r\n\r\n1e5,\"x\n\n\",0,z"), "NA")
	f.Add([]byte("churn,a b,c\n1,1,\"x\r\r\ny\"\n0,2,\"x\r\ny\"\n"), "")
	f.Add([]byte("churn,\"\xef\xbb\xbfa\"\n1,1\n0,2\n"), "")
	f.Add([]byte("\xef\xbb\xbf\xef\xbb\xbfa,churn\n1,1\n0,2\n"), "")
	f.Add([]byte("churn,a\n1,\\.\n0,'\n1.0,-0\n"), "-")
	f.Fuzz(func(t *testing.T, file []byte, missing string) {
		defer fuzzing.Watch()()
		s, _, err := Infer(t.Context(), Source{Reader: bytes.NewReader(file), File: "x.csv"}, Inference{
			Target: dataset.Target{Name: "churn", Positive: "1"}, MissingValues: []string{missing}})
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		limits := dataset.Limits{MaxMissing: 1}
		q, _, err := Clean(t.Context(), Source{Reader: bytes.NewReader(file), File: "x.csv"}, nil, s, limits, &first)
		if err != nil {
			return
		}
		want, err := ReadTable(t.Context(), Source{Reader: bytes.NewReader(file), File: "x.csv"}, s, limits)
		if err != nil || want.Rows() != q.RowsKept {
			t.Fatalf("%q: Clean takes %d rows, ReadTable: %v", file, q.RowsKept, err)
		}
		got, err := ReadTable(t.Context(), Source{Reader: bytes.NewReader(first.Bytes()), File: "x.csv"}, s, limits)
		if err != nil {
			t.Fatalf("%q is written %q, which is rejected: %v", file, first.Bytes(), err)
		}
		if !slices.Equal(got.Positive, want.Positive) {
			t.Fatalf("%q is written %q: %v, want %v", file, first.Bytes(), got.Positive, want.Positive)
		}
		for i := range want.Rows() {
			for j := range s.Features {
				if a, b := got.Value(i, j), want.Value(i, j); a != b {
					t.Fatalf("%q is written %q: in row %d %s is %+v, want %+v", file, first.Bytes(), i, s.Features[j].Name, a, b)
				}
			}
		}
		if _, _, err := Clean(t.Context(), Source{Reader: bytes.NewReader(first.Bytes()), File: "x.csv"}, nil, s, limits,
			&second); err != nil ||
			!bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("%q is written %q, and again %q: %v", file, first.Bytes(), second.Bytes(), err)
		}
	})
}

// FuzzReadOutcomes: a file of outcomes is what encoding/csv finds in it.
func FuzzReadOutcomes(f *testing.F) {
	f.Add([]byte("request_id,churn\na,1\nb,0\n"))
	f.Add([]byte("\ufeffchurn,when,request_id\r\n1,monday,\" a \"\r\n 1.0 ,,b"))
	f.Add([]byte("request_id,churn\na,\nb,0\na,1\na,0.0\n"))
	f.Add([]byte("request_id,churn\n,1\n\"a\n\",no\nb,\xff\n"))
	f.Add([]byte("request_id;churn\na;1\n"))
	s := dataset.Lab()
	f.Fuzz(func(t *testing.T, file []byte) {
		defer fuzzing.Watch()()
		got, err := ReadOutcomes(t.Context(), Source{Reader: bytes.NewReader(file), File: "o.csv"}, s)
		if err != nil {
			if err.Error() == "" || strings.ContainsAny(err.Error(), "\x00\x1b\r") {
				t.Fatalf("%q: the error %q is not for a terminal", file, err)
			}
			return
		}
		want := map[string]bool{}
		open, twice := 0, 0
		r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff"))))
		records, err := r.ReadAll()
		if err != nil {
			t.Fatalf("%q is read, but is no CSV: %v", file, err)
		}
		at := func(name string) int {
			return slices.IndexFunc(records[0], func(cell string) bool { return strings.TrimSpace(cell) == name })
		}
		id, target := at(RequestID), at("churn")
		for _, record := range records[1:] {
			key, label := strings.TrimSpace(record[id]), strings.TrimSpace(record[target])
			if label == "" {
				open++
				continue
			}
			if _, again := want[key]; again {
				twice++
			}
			want[key] = s.Label(label).Positive
		}
		if !reflect.DeepEqual(got.byID(), want) || got.Open != open || got.Twice != twice {
			t.Fatalf("%q: %v, %d open, %d twice, want %v, %d, %d", file, got.byID(), got.Open, got.Twice, want, open, twice)
		}
	})
}
