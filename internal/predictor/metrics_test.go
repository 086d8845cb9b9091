package predictor

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/model"
	"churn/internal/predictor/httpbody"
	"churn/internal/predlog"

	"github.com/gofrs/flock"
)

// patience bounds every wait: far more than a loaded machine needs.
const patience = 20 * time.Second

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// metrics returns the samples of GET /metrics by name and labels.
func (s *service) metrics(headers ...string) map[string]float64 {
	s.Helper()
	answer, text := s.ask("GET", "/metrics", "", headers...)
	if answer.StatusCode != 200 {
		s.Fatalf("GET /metrics: %d %s", answer.StatusCode, text)
	}
	samples := map[string]float64{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		x, err := strconv.ParseFloat(strings.TrimSpace(line[cut+1:]), 64)
		if err != nil {
			s.Fatalf("sample %q: %v", line, err)
		}
		samples[line[:cut]] = x
	}
	return samples
}

// wantFamily compares the samples of one name with what is wanted.
func (s *service) wantFamily(samples map[string]float64, name string, want map[string]float64) {
	s.Helper()
	got := map[string]float64{}
	for sample, x := range samples {
		if labels, ok := strings.CutPrefix(sample, name); ok && (labels == "" || labels[0] == '{') {
			got[labels] = x
		}
	}
	if !maps.Equal(got, want) {
		s.Errorf("%s: %v, want %v", name, got, want)
	}
}

func TestMetricsTellWhatWasAskedAndAnswered(t *testing.T) {
	s := start(t)
	s.expect("POST", "/predict", customer, 503, "no usable model")
	first := s.train(1)
	label := map[bool]float64{}
	var sum float64
	note := func(line string) {
		r, err := predlog.Parse([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		label[r.Prediction == 1]++
		sum += r.Probability
	}
	for _, body := range []string{customer, customerA, customerB, strings.Replace(customerA, "NA", "Mars", 1)} {
		note(s.expect("POST", "/predict", body, 200, ""))
	}
	_, _, lines := s.send("/predict/batch", httpbody.Lines, customerA+"\n"+customerB+"\n"+customerB)
	for line := range strings.Lines(lines) {
		note(line)
	}
	s.expect("POST", "/predict",
		`{"region":7,"a":"x","b":"y","tenure_months":1,"num_complaints":0,"avg_session_minutes":-1,"request_id":9}`, 422, "")
	s.expect("POST", "/predict", "{", 422, "")
	s.expect("POST", "/predict", strings.Repeat(" ", customerBytes+1), 413, "")
	s.send("/predict/batch", "text/csv", strings.Replace(batchCSV, "region", "regoin", 1))
	s.send("/predict", "application/xml", "<a/>")
	s.expect("GET", "/predict", "", 405, "")
	s.expect("GET", "/no/such/path", "", 404, "")

	m := s.metrics()
	s.wantFamily(m, "churn_http_requests_total", map[string]float64{
		`{route="/predict",status="200"}`: 4, `{route="/predict",status="413"}`: 1, `{route="/predict",status="415"}`: 1,
		`{route="/predict",status="422"}`: 2, `{route="/predict",status="503"}`: 1, `{route="(none)",status="404"}`: 1,
		`{route="(none)",status="405"}`: 1, `{route="/predict/batch",status="200"}`: 1,
		`{route="/predict/batch",status="422"}`: 1,
	})
	s.wantFamily(m, "churn_http_request_duration_seconds_count", map[string]float64{
		`{route="/predict"}`: 9, `{route="/predict/batch"}`: 2, `{route="(none)"}`: 2,
	})
	s.wantFamily(m, "churn_predictions_total", map[string]float64{
		`{label="0",model="` + first + `"}`: label[false], `{label="1",model="` + first + `"}`: label[true],
	})
	s.wantFamily(m, "churn_probability_count", map[string]float64{"": 7})
	if got := m["churn_probability_sum"]; math.Abs(got-sum) > 7e-6 { // records have six decimals
		t.Errorf("churn_probability_sum %v, the answers add up to %v", got, sum)
	}
	s.wantFamily(m, "churn_refused_inputs_total", map[string]float64{
		`{field="region"}`: 2, `{field="avg_session_minutes"}`: 1, `{field="plan_type"}`: 1, `{field="request_id"}`: 1,
		`{field="(unknown)"}`: 2, `{field="(body)"}`: 3,
	})
	s.wantFamily(m, "churn_unseen_categories_total", map[string]float64{`{feature="tenure_months"}`: 0,
		`{feature="num_complaints"}`: 0, `{feature="avg_session_minutes"}`: 0, `{feature="plan_type"}`: 0,
		`{feature="region"}`: 1})
	s.wantFamily(m, "churn_model_info", map[string]float64{`{model="` + first + `",version="v1"}`: 1})
	s.wantFamily(m, "churn_log_batch_records_sum", map[string]float64{"": 7})
	s.wantFamily(m, "churn_log_batch_records_count", map[string]float64{"": 5})
	s.wantFamily(m, "churn_log_queue_records", map[string]float64{"": 0})
	s.wantFamily(m, "churn_model_reloads_total", map[string]float64{"": 0})
	s.wantFamily(m, "churn_model_refused", map[string]float64{"": 0})
	if age := m["churn_model_age_seconds"]; age < 0 || age > 3600 {
		t.Errorf("churn_model_age_seconds %v, the model was trained just now", age)
	}
	if m["go_goroutines"] == 0 || m["process_start_time_seconds"] == 0 {
		t.Error("nothing about the process")
	}
}

func TestMetricsOfAModelSwitch(t *testing.T) {
	s := start(t)
	first := s.train(1)
	s.expect("POST", "/predict", customer, 200, first)
	second := s.train(2)
	s.expect("POST", "/predict", customer, 200, second)
	if err := os.WriteFile(filepath.Join(s.dir, "registry", "current_model.txt"), []byte("absent.json"),
		0o644); err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.expect("POST", "/predict", customer, 200, second)
	m := s.metrics()
	s.wantFamily(m, "churn_model_info", map[string]float64{`{model="` + second + `",version="v1"}`: 1})
	s.wantFamily(m, "churn_model_reloads_total", map[string]float64{"": 1})
	s.wantFamily(m, "churn_model_reloads_refused_total", map[string]float64{"": 1})
	s.wantFamily(m, "churn_model_refused", map[string]float64{"": 1})
	s.wantFamily(m, "churn_drift_rows", map[string]float64{"": 2}) // the window began anew with the second
	predictions := func(model string) float64 {
		const sample = `churn_predictions_total{label="%d",model=%q}`
		return m[fmt.Sprintf(sample, 0, model)] + m[fmt.Sprintf(sample, 1, model)]
	}
	if one, two := predictions(first), predictions(second); one != 1 || two != 2 {
		t.Errorf("%v predictions by the first model and %v by the second, want 1 and 2", one, two)
	}
}

// The gauges are the drift of the last rows of the log, as cmd/drift would find it.
func TestDriftGaugesAreThoseOfTheLastRows(t *testing.T) {
	const window = 50
	limits := usual
	limits.DriftRows = window
	s := startWith(t, limits, func(*Predictor) {})
	name := s.train(1)
	b, err := s.reg.ReadModel(name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	compare := func() {
		t.Helper()
		var columns []drift.Column
		for _, f := range m.Schema.Features {
			ref := m.Reference.Columns[f.Name]
			columns = append(columns, drift.Column{Name: f.Name, Reference: &ref, Live: dataset.NewTally(&ref)})
		}
		score := drift.Column{Name: "(probability)", Reference: &m.Reference.Probability,
			Live: dataset.NewTally(&m.Reference.Probability)}
		_, err := predlog.Read(t.Context(), predlog.Logs{filepath.Join(s.dir, "logs", "predictions.log")}, window,
			func(r *predlog.Record) error {
				for i, f := range r.Features {
					columns[i].Live.Add(f.Value)
				}
				score.Live.Add(dataset.Value{Number: r.Probability})
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		checks, _ := drift.Compare(append(columns, score), drift.Pairs{})
		samples, seen := s.metrics(), 0
		near := func(sample string, want float64) {
			t.Helper()
			seen++
			// six decimals of a probability
			if got, ok := samples[sample]; !ok || math.Abs(got-want) > 1e-3*max(math.Abs(want), 1e-3) {
				t.Errorf("%s: %v (there: %t), want %v", sample, got, ok, want)
			}
		}
		near("churn_drift_rows", float64(score.Live.Rows))
		for _, c := range checks {
			label := `{feature="` + c.Column + `"}`
			if c.Kind == "mean" {
				near("churn_drift_z"+label, c.Statistic)
			}
			if c.Kind == "mean" || c.Kind == "levels" {
				near("churn_drift_p"+label, c.PAdjusted)
			}
		}
		for sample := range samples {
			if strings.HasPrefix(sample, "churn_drift_") {
				seen--
			}
		}
		if seen != 0 {
			t.Errorf("%d samples of drift too many or too few", -seen)
		}
	}
	rows := func(from, n int) string {
		var body strings.Builder
		for i := from; i < from+n; i++ {
			fmt.Fprintf(&body, `{"tenure_months":%d,"num_complaints":%d,"avg_session_minutes":%d.5,"plan_type":"%s",`+
				`"region":"%s"}`+"\n",
				i%60, i%5, i%70, []string{"basic", "premium"}[i%2], []string{"NA", "EU", "AF"}[i*i%7%3])
		}
		return body.String()
	}
	s.send("/predict/batch", httpbody.Lines, rows(0, drift.MinRows-1))
	s.wantFamily(s.metrics(), "churn_drift_rows", map[string]float64{"": drift.MinRows - 1})
	s.wantFamily(s.metrics(), "churn_drift_p", map[string]float64{}) // too few to tell
	for i := range 40 {
		s.expect("POST", "/predict", rows(100+i, 1), 200, "")
		compare()
	}
	s.send("/predict/batch", httpbody.Lines, rows(500, 3*window+1)) // more than the window holds
	compare()
	s.train(2)
	s.wantFamily(s.metrics(), "churn_drift_rows", map[string]float64{"": 0})
}

func TestMetricsWithoutAModelOrADriftWindow(t *testing.T) {
	limits := usual
	limits.DriftRows = 0
	s := startWith(t, limits, func(*Predictor) {})
	s.wantFamily(s.metrics(), "churn_model_info", map[string]float64{})
	s.train(1)
	s.expect("POST", "/predict", customer, 200, "")
	s.wantFamily(s.metrics(), "churn_drift_rows", map[string]float64{})
}

func TestMetricsAreOpenMetricsWhereAskedFor(t *testing.T) {
	s := start(t)
	answer, text := s.ask("GET", "/metrics", "", "Accept: application/openmetrics-text; version=1.0.0")
	if got := answer.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text") ||
		!strings.HasSuffix(text, "# EOF\n") {
		t.Errorf("content type %q, the end is %.20q", got, text[max(0, len(text)-20):])
	}
}

func TestTheQueueIsWhatWaitsForTheLog(t *testing.T) {
	s := start(t)
	s.train(1)
	s.expect("POST", "/predict", customer, 200, "")
	lock := flock.New(filepath.Join(s.dir, "logs", ".predictions.log.lock"), flock.SetFlag(os.O_WRONLY))
	if err := lock.Lock(); err != nil { // another process that writes for a long time
		t.Fatal(err)
	}
	done := make(chan string)
	go func() {
		_, _, answer := s.send("/predict/batch", httpbody.Lines, customerA+"\n"+customerB)
		done <- answer
	}()
	eventually(t, "two records are queued", func() bool { return s.metrics()["churn_log_queue_records"] == 2 })
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if answer := <-done; strings.Count(answer, "\n") != 2 {
		t.Errorf("answer %q", answer)
	}
	s.wantFamily(s.metrics(), "churn_log_queue_records", map[string]float64{"": 0})
}

// However many names clients make up, there are only so many series.
func TestLabelsAreBounded(t *testing.T) {
	s := start(t)
	s.train(1)
	s.expect("POST", "/predict", customer, 200, "")
	s.expect("POST", "/predict", `{"x":1}`, 422, "")
	s.expect("GET", "/x", "", 404, "")
	s.expect("POST", "/predict", strings.Replace(customer, "na", "x", 1), 200, "")
	before := slices.Sorted(maps.Keys(s.metrics()))
	for i := range 50 {
		s.expect("POST", "/predict", fmt.Sprintf(`{"x%d":1}`, i), 422, "")
		s.expect("GET", fmt.Sprintf("/x%d", i), "", 404, "")
		s.expect("POST", "/predict", strings.Replace(customer, "na", fmt.Sprintf("x%d", i), 1), 200, "")
	}
	after := slices.DeleteFunc(slices.Sorted(maps.Keys(s.metrics())), func(sample string) bool {
		return strings.Contains(sample, `"/metrics"`) || strings.HasPrefix(sample, "churn_drift_")
	})
	if len(after) > len(before) {
		t.Errorf("%d series have become %d", len(before), len(after))
	}
}
