package load_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predlog"
	"churn/internal/testing/programs"
)

// A question is a request and its expected status.
type question struct {
	path, kind string
	body       []byte
	first      int // number of its first customer
	customers  [][]predlog.Feature
	status     int
}

// newCustomer returns the cells of a random customer. Some have a region that no training
// row had, or texts with spaces or other case.
func newCustomer(rng *rand.Rand) []predlog.Feature {
	number := func(name string, x float64) predlog.Feature {
		return predlog.Feature{Name: name, Value: dataset.Value{Number: x}}
	}
	level := func(name string, texts ...string) predlog.Feature {
		return predlog.Feature{Name: name, Value: dataset.Value{Text: texts[rng.IntN(len(texts))], Level: true}}
	}
	return []predlog.Feature{
		number("tenure_months", float64(1+rng.IntN(59))),
		number("num_complaints", float64(rng.IntN(4))),
		number("avg_session_minutes", math.Round(100*(1+69*rng.Float64()))/100),
		level("plan_type", "basic", "basic", " Basic ", "premium"),
		level("region", "NA", "EU", "EU", "AF", "as", "MARS"),
	}
}

// newQuestion returns a request with one or many customers; one in ten is invalid.
func (s *soak) newQuestion(rng *rand.Rand) question {
	q := question{path: "/predict", kind: "application/json", status: http.StatusOK}
	n, form := 1, rng.IntN(10)
	if form < 2 { // two in ten are batches
		n = 2 + rng.IntN(30)
		q.path = "/predict/batch"
		q.kind = []string{"application/json", "application/x-ndjson", "text/csv"}[rng.IntN(3)]
	}
	wrong := -1
	if rng.IntN(10) == 0 {
		wrong = rng.IntN(n)
		q.status = http.StatusUnprocessableEntity
	}
	q.first = s.ledger.next(n)
	if wrong >= 0 {
		s.ledger.refuse(q.first, n)
	}
	var rows [][]byte
	for i := range n {
		cells := newCustomer(rng)
		q.customers = append(q.customers, cells)
		if i == wrong {
			cells = [][]predlog.Feature{
				cells[:4], // region is missing
				append(cells[1:], predlog.Feature{Name: "tenure_months", Value: dataset.Value{Number: 201}}),
				append(cells[1:], predlog.Feature{Name: "tenure_months", Value: dataset.Value{Text: "six", Level: true}}),
			}[rng.IntN(3)]
		}
		rows = append(rows, row(q.kind, ledgerPrefix+strconv.Itoa(q.first+i), cells))
	}
	switch q.kind {
	case "text/csv":
		q.body = append([]byte("request_id,tenure_months,num_complaints,avg_session_minutes,plan_type,region\n"),
			bytes.Join(rows, nil)...)
	case "application/json":
		q.body = bytes.Join(rows, []byte(","))
		if n > 1 {
			q.body = append(append([]byte("["), q.body...), ']')
		}
	default:
		q.body = bytes.Join(rows, []byte("\n"))
	}
	return q
}

// row writes a customer as JSON, or as a line of CSV in the lab's order.
func row(kind, id string, cells []predlog.Feature) []byte {
	if kind == "text/csv" {
		texts := map[string]string{}
		for _, c := range cells {
			texts[c.Name] = c.Value.Text
			if !c.Value.Level {
				texts[c.Name] = strconv.FormatFloat(c.Value.Number, 'f', -1, 64)
			}
		}
		return []byte(strings.Join([]string{id, texts["tenure_months"], texts["num_complaints"],
			texts["avg_session_minutes"], texts["plan_type"], texts["region"]}, ",") + "\n")
	}
	object := map[string]any{"request_id": id}
	for _, c := range cells {
		object[c.Name] = c.Value.Number
		if c.Value.Level {
			object[c.Name] = c.Value.Text
		}
	}
	b, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return b
}

// scored is an answer for one customer.
type scored struct {
	ID          string  `json:"request_id"`
	Model       string  `json:"model_version"`
	Prediction  int     `json:"prediction"`
	Probability float64 `json:"probability"`
	Threshold   float64 `json:"threshold"`
	line        []byte  // the record, nil in CSV
}

// send sends a question and checks the answer. It returns an error if there is none.
func (s *soak) send(one *programs.Service, client *http.Client, q question) (programs.Answer, error) {
	a := programs.Answer{By: one, Sent: time.Now()}
	status, body, err := programs.Request(client, "POST", one.URL(q.path), q.kind, string(q.body))
	a.Received = time.Now()
	if err != nil {
		return a, err
	}
	if status != q.status {
		s.unexpected.Add(1)
		s.fail("%s answers %d, want %d: %s to %s", q.path, status, q.status, body, q.body)
		return a, nil
	}
	if q.status != http.StatusOK {
		s.refused.Add(1)
		return a, nil
	}
	answers, err := parseAnswers(q, []byte(body))
	if err != nil || len(answers) != len(q.customers) {
		s.wrong.Add(1)
		s.fail("%s answers %q to %q: %v", q.path, body, q.body, err)
		return a, nil
	}
	for i, r := range answers {
		id := ledgerPrefix + strconv.Itoa(q.first+i)
		if r.ID != id || r.Model != answers[0].Model || !s.ledger.answer(q.first+i, r.line) {
			s.wrong.Add(1)
			s.fail("%s is answered with %+v", id, r)
		}
		s.check(id, r.Model, q.customers[i], r.Prediction, r.Probability, r.Threshold)
	}
	a.Model = answers[0].Model
	return a, nil
}

// parseAnswers parses an answer in the format of its question.
func parseAnswers(q question, body []byte) (answers []scored, err error) {
	var lines []json.RawMessage
	switch {
	case q.kind == "text/csv":
		records, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
		if err != nil || len(records) == 0 || strings.Join(records[0],
			",") != "request_id,prediction,probability,threshold,model_version,warnings" {
			return nil, fmt.Errorf("not the expected CSV: %w", err)
		}
		for _, r := range records[1:] {
			one := scored{ID: r[0], Model: r[4]}
			if _, err := fmt.Sscan(strings.Join(r[1:4], " "), &one.Prediction, &one.Probability, &one.Threshold); err != nil {
				return nil, err
			}
			answers = append(answers, one)
		}
		return answers, nil
	case q.kind == "application/json" && q.path == "/predict/batch":
		if err := json.Unmarshal(body, &lines); err != nil {
			return nil, err
		}
	default:
		for line := range bytes.Lines(body) {
			lines = append(lines, json.RawMessage(line))
		}
	}
	for _, line := range lines {
		one := scored{line: line}
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, err
		}
		answers = append(answers, one)
	}
	return answers, nil
}

// check scores a customer in this process by the model that answered, and compares.
func (s *soak) check(id, name string, cells []predlog.Feature, prediction int, probability, threshold float64) {
	m, err := s.model(name)
	if err != nil {
		s.wrong.Add(1)
		s.fail("%s was answered by %q: %v", id, name, err)
		return
	}
	values := make([]dataset.Value, len(m.Schema.Features))
	for i := range m.Schema.Features {
		f := &m.Schema.Features[i]
		var problem *dataset.Problem
		for _, c := range cells {
			switch {
			case c.Name != f.Name:
			case c.Value.Level:
				values[i], problem = f.CheckText(c.Value.Text)
			default:
				values[i], problem = f.CheckNumber(c.Value.Number)
			}
		}
		if problem != nil {
			s.wrong.Add(1)
			s.fail("%s was answered, but its %s is invalid: %v", id, f.Name, problem)
			return
		}
	}
	want := m.Score(values)
	const sixDecimals = 5.0001e-7
	if math.Abs(want.Probability-probability) > sixDecimals || want.Churn != (prediction == 1) ||
		threshold != m.Threshold {
		s.wrong.Add(1)
		s.fail("%s of %v has probability %v, prediction %d, threshold %v by %s; here %+v, threshold %v",
			id, cells, probability, prediction, threshold, name, want, m.Threshold)
	}
	s.checked.Add(1)
}

// model returns a registered model, parsed once.
func (s *soak) model(name string) (*model.Model, error) {
	if m, ok := s.models.Load(name); ok {
		return m.(*model.Model), nil
	}
	b, err := s.reg.ReadModel(name)
	if err != nil {
		return nil, err
	}
	m, err := model.Parse(b)
	if err != nil {
		return nil, err
	}
	s.models.Store(name, m)
	return m, nil
}
