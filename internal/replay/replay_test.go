package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predlog"
	"churn/internal/status"
)

// customers returns a table in which churn rises with complaints and falls with
// minutes, by the given effect. Regions are drawn from those given.
func customers(t testing.TB, seed uint64, effect float64, regions ...string) *dataset.Table {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	var text strings.Builder
	text.WriteString("tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn\n")
	for range 400 {
		complaints, minutes := rng.IntN(6), 10+50*rng.Float64()
		churn := 0
		if rng.Float64() < 1/(1+math.Exp(-effect*(float64(complaints)-2.5)+0.03*(minutes-35))) {
			churn = 1
		}
		fmt.Fprintf(&text, "%d,%d,%.2f,%s,%s,%d\n",
			1+rng.IntN(59), complaints, minutes, []string{"basic", "premium"}[rng.IntN(2)],
			regions[rng.IntN(len(regions))], churn)
	}
	table, err := csvdata.ReadTable(t.Context(), csvdata.Source{Reader: strings.NewReader(text.String()), File: "test"},
		dataset.Lab(), dataset.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// register trains a model and adds it to the registry below dir.
func register(t testing.TB, dir string, table *dataset.Table, version string) (string, *model.Model) {
	t.Helper()
	return registerWith(t, dir, table, version, model.Options{})
}

// answer returns the record of a customer as a service logs it.
func answer(id, name string, m *model.Model, values []dataset.Value) *predlog.Record {
	score := m.Score(values)
	r := &predlog.Record{
		RequestID: id, ModelVersion: name, Probability: score.Probability, Threshold: m.Threshold, TS: 1,
		Warnings: score.Warnings,
	}
	if score.Churn {
		r.Prediction = 1
	}
	for j, f := range m.Schema.Features {
		r.Features = append(r.Features, predlog.Feature{Name: f.Name, Value: values[j]})
	}
	return r
}

func row(table *dataset.Table, i int) []dataset.Value {
	values := make([]dataset.Value, len(table.Columns))
	for j := range values {
		values[j] = table.Value(i, j)
	}
	return values
}

func writeLog(t testing.TB, dir string, records ...*predlog.Record) {
	t.Helper()
	var b []byte
	for _, r := range records {
		b = append(r.Append(b), '\n')
	}
	path := filepath.Join(dir, "logs", "predictions.log")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestPredictionsAreCompared(t *testing.T) {
	dir := t.TempDir()
	table := customers(t, 1, 0.6, "EU", "AS", "AF")
	old, oldModel := register(t, dir, table, "v1")
	name, candidate := register(t, dir, customers(t, 2, 1.5, "EU", "AS"), "v2")
	var records []*predlog.Record
	for i := range table.Rows() {
		records = append(records, answer("r"+strconv.Itoa(i), old, oldModel, row(table, i)))
	}
	writeLog(t, dir, records...)
	got, err := Run(t.Context(), dir, name, candidate, On{Last: 300}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}

	// The same computed plainly: one record after another, all changes sorted.
	var more, fewer, before, after, unseen int
	var sum, size float64
	type change struct {
		id  string
		abs float64
	}
	var changes []change
	for i := 100; i < table.Rows(); i++ {
		values := row(table, i)
		was, is := oldModel.Score(values), candidate.Score(values)
		logged, _ := strconv.ParseFloat(fmt.Sprintf("%.6f", was.Probability), 64)
		if was.Churn {
			before++
		}
		if is.Churn {
			after++
		}
		if is.Churn && !was.Churn {
			more++
		}
		if was.Churn && !is.Churn {
			fewer++
		}
		if values[4].Text == "AF" {
			unseen++
		}
		sum += is.Probability - logged
		size += math.Abs(is.Probability - logged)
		changes = append(changes, change{"r" + strconv.Itoa(i), math.Abs(is.Probability - logged)})
	}
	slices.SortStableFunc(changes, func(a, b change) int {
		if a.abs > b.abs {
			return -1
		} else if a.abs < b.abs {
			return 1
		}
		return 0
	})
	if more == 0 || fewer == 0 || unseen == 0 {
		t.Fatalf("the customers differ too little: %d to positive, %d to negative, %d unseen", more, fewer, unseen)
	}
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("records, compared, audited", []int{got.Records, got.Compared, got.Audited}, []int{300, 300, 0})
	check("label changes", []int{got.LabelChanges, got.ToPositive, got.ToNegative}, []int{more + fewer, more, fewer})
	check("positives", []int{got.PositivesBefore, got.PositivesAfter}, []int{before, after})
	check("unseen", got.Unseen, []Unseen{{"region", "AF", unseen}})
	if math.Abs(got.MeanChange-sum/300) > 1e-12 || math.Abs(got.MeanAbsChange-size/300) > 1e-12 {
		t.Errorf("mean change %v, absolute %v, want %v and %v", got.MeanChange, got.MeanAbsChange, sum/300, size/300)
	}
	check("largest changes", len(got.Changes), maxChanges)
	for i, m := range got.Changes {
		check("change", m.RequestID, changes[i].id)
		if len(m.Reasons) != maxReasons {
			t.Errorf("change %d has %d reasons", i, len(m.Reasons))
		}
	}

	// The changes of all features and the base sum to the change in log-odds.
	whole := got.Changes[0]
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	xo, xn := oldModel.Explain(whole.values), candidate.Explain(whole.values)
	total := xn.Base - xo.Base
	for j := range xo.Contributions {
		total += xn.Contributions[j] - xo.Contributions[j]
	}
	base := xn.Base - xo.Base
	if want := logit(whole.New) - logit(whole.Logged); math.Abs(total-want) > 1e-4 || math.Abs(whole.Base-base) > 1e-12 {
		t.Errorf("the reasons sum to %v, the change is %v", total, want)
	}
	j := candidate.Schema.Index(whole.Reasons[0].Feature)
	if want := xn.Contributions[j] - xo.Contributions[j]; math.Abs(whole.Reasons[0].LogOdds-want) > 1e-12 {
		t.Errorf("%s changes by %v, want %v", whole.Reasons[0].Feature, whole.Reasons[0].LogOdds, want)
	}

	// Without the model that answered, the changes have no reasons.
	if err := os.Remove(filepath.Join(dir, "models", old)); err != nil {
		t.Fatal(err)
	}
	alone, err := Run(t.Context(), dir, name, candidate, On{Last: 300}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	check("reasons without the model", len(alone.Changes[0].Reasons), 0)
	check("label changes without the model", alone.LabelChanges, got.LabelChanges)
}

func TestOwnPredictionsAreAudited(t *testing.T) {
	dir := t.TempDir()
	table := customers(t, 1, 0.6, "EU", "AS")
	name, m := register(t, dir, table, "v1")
	records := make([]*predlog.Record, table.Rows())
	for i := range records {
		records[i] = answer("r"+strconv.Itoa(i), name, m, row(table, i))
	}
	audit := func() *Result {
		t.Helper()
		writeLog(t, dir, records...)
		r, err := Run(t.Context(), dir, name, m, On{Last: 0}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := audit(); r.Audited != len(records) || r.Compared != 0 || r.Err() != nil {
		t.Errorf("audited %d, compared %d, %v: want all audited and reproduced", r.Audited, r.Compared, r.Err())
	}
	records[7].Probability += 1e-6
	records[8].Prediction = 1 - records[8].Prediction
	records[9].Features[0].Value = dataset.Value{Text: "six", Level: true}
	r := audit()
	if r.NotReproduced != 3 || r.Err() == nil {
		t.Fatalf("%d are not reproduced (%v), want 3", r.NotReproduced, r.Err())
	}
	if !errors.Is(r.Err(), status.ErrRejected) {
		t.Errorf("%v is no rejection", r.Err())
	}
	for i, want := range []string{"r7", "r8", "r9"} {
		if r.Differences[i].RequestID != want {
			t.Errorf("difference %d is %+v, want %s", i, r.Differences[i], want)
		}
	}
}

func TestWhatCannotBeScored(t *testing.T) {
	dir := t.TempDir()
	table := customers(t, 1, 0.6, "EU", "AS")
	name, m := register(t, dir, table, "v1")
	change := func(id string, change func(r *predlog.Record)) *predlog.Record {
		r := answer(id, "other.json", m, row(table, 0))
		change(r)
		return r
	}
	writeLog(t, dir,
		change("absent", func(r *predlog.Record) { r.Features = r.Features[1:] }),
		change("null", func(r *predlog.Record) { r.Features[0].Value = dataset.Value{Missing: true} }),
		change("text", func(r *predlog.Record) { r.Features[1].Value = dataset.Value{Text: "3", Level: true} }),
		change("number", func(r *predlog.Record) { r.Features[4].Value = dataset.Value{Number: 3} }),
		change("outside", func(r *predlog.Record) { r.Features[0].Value = dataset.Value{Number: 201} }),
		change("fraction", func(r *predlog.Record) { r.Features[0].Value = dataset.Value{Number: 1.5} }),
		change("order", func(r *predlog.Record) { slices.Reverse(r.Features) }),
		change("extra", func(r *predlog.Record) {
			r.Features = append([]predlog.Feature{{Name: "age", Value: dataset.Value{Number: 1}}}, r.Features...)
		}),
	)
	r, err := Run(t.Context(), dir, name, m, On{Last: 0}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.Compared != 2 || r.NotScorable != 6 || r.MeanAbsChange > 5e-7 {
		t.Errorf("compared %d, not scorable %d, mean absolute change %v; want 2, 6, and rounding alone",
			r.Compared, r.NotScorable, r.MeanAbsChange)
	}
	var got []string
	for _, x := range r.Unscorable {
		got = append(got, fmt.Sprint(x.Feature, " ", x.Reason, " ", x.Records, " ", x.RequestID))
	}
	want := []string{
		"tenure_months missing 2 absent", "num_complaints another type 1 text",
		"region another type 1 number", "tenure_months not allowed 2 outside",
	}
	if !slices.Equal(got, want) {
		t.Errorf("unscorable %q, want %q", got, want)
	}
}

func TestSameResultOnAnyNumberOfProcessors(t *testing.T) {
	dir := t.TempDir()
	table := customers(t, 1, 0.6, "EU", "AS", "AF")
	old, m := register(t, dir, table, "v1")
	_, candidate := register(t, dir, customers(t, 2, 1.5, "EU", "AS"), "v2")
	var b []byte
	for i := range 20_000 { // some chunks
		b = append(answer("r"+strconv.Itoa(i), old, m, row(table, i%table.Rows())).Append(b), '\n')
	}
	path := filepath.Join(dir, "predictions.log")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(processors int) *Result {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
		r, err := replay(context.Background(), predlog.Logs{path}, 0, "v2", candidate, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, four := run(1), run(4)
	if !reflect.DeepEqual(one, four) {
		t.Errorf("on one processor %+v, on four %+v", one, four)
	}
	if one.Records != 20_000 {
		t.Errorf("%d records, want 20000", one.Records)
	}
}

// A model that differs in its threshold alone changes labels, but no probability.
func TestOnlyTheThresholdDiffers(t *testing.T) {
	dir := t.TempDir()
	table := customers(t, 1, 0.6, "EU", "AS")
	old, m := register(t, dir, table, "v1")
	var records []*predlog.Record
	labels := 0
	for i := range table.Rows() {
		r := answer("r"+strconv.Itoa(i), old, m, row(table, i))
		if r.Probability >= 0.4 && r.Prediction == 0 {
			labels++
		}
		records = append(records, r)
	}
	writeLog(t, dir, records...)
	lower := *m
	lower.Threshold = 0.4
	r, err := Run(t.Context(), dir, "", &lower, On{Last: 0}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if labels == 0 || r.ToPositive != labels || r.ToNegative != 0 || len(r.Changes) != min(labels, maxChanges) {
		t.Errorf("%d to positive, %d to negative, %d changes; want %d, 0, and those whose label changes",
			r.ToPositive, r.ToNegative, len(r.Changes), labels)
	}
	for _, m := range r.Changes {
		if m.Before == m.After {
			t.Errorf("%+v is no change", m)
		}
	}
	var b bytes.Buffer
	r.Print(&b)
	if text := b.String(); !strings.Contains(text, "the probabilities do not change") ||
		!strings.Contains(text, "the threshold only") || strings.Contains(text, "-0.0") {
		t.Errorf("it prints %s", text)
	}
	same, err := Run(t.Context(), dir, "", m, On{Last: 0}, io.Discard)
	if err != nil || same.LabelChanges != 0 || len(same.Changes) != 0 {
		t.Errorf("the same model again: %d label changes, %d score changes, %v", same.LabelChanges, len(same.Changes), err)
	}
	records[0].Probability += 0.01 // of one among so many the mean rounds to 0
	writeLog(t, dir, records...)
	one, err := Run(t.Context(), dir, "", m, On{Last: 0}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if one.Print(&b); one.MeanAbsChange >= 0.5*unit || strings.Contains(b.String(), "do not change") {
		t.Errorf("with one change it prints %s", &b)
	}
}

func TestNoRecords(t *testing.T) {
	dir := t.TempDir()
	name, m := register(t, dir, customers(t, 1, 0.6, "EU", "AS"), "v1")
	if _, err := Run(t.Context(), dir, name, m, On{Last: 0}, io.Discard); !errors.Is(err, ErrNoRecords) {
		t.Errorf("without a log: %v, want ErrNoRecords", err)
	}
	writeLog(t, dir)
	if _, err := Run(t.Context(), dir, name, m, On{Last: 0}, io.Discard); !errors.Is(err, ErrNoRecords) {
		t.Errorf("with an empty log: %v, want ErrNoRecords", err)
	}
}

func TestHostileNamesArePrintable(t *testing.T) {
	r := &Result{
		Model: "m.json", Records: 3, Compared: 1, NotScorable: 1, UnseenRecords: 1, Audited: 1, NotReproduced: 1,
		Unscorable:  []Unscorable{{Feature: "a\x1b[2J", Reason: dataset.Absent, Records: 1, RequestID: "\x1b]0;x\a"}},
		Unseen:      []Unseen{{"b\x1b[2J", "c\x1b[2J", 1}},
		Changes:     []ScoreChange{{RequestID: "d\x1b[2J", Reasons: []Reason{{"e\x1b[2J", 1}}}},
		Differences: []Difference{{RequestID: "f\x1b[2J"}},
	}
	var b bytes.Buffer
	r.Print(&b)
	if strings.ContainsAny(b.String(), "\x1b\a") {
		t.Errorf("control characters reach the terminal: %q", b.String())
	}
}
