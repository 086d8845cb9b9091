package scripts_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"churn/internal/testing/programs"

	"github.com/rogpeppe/go-internal/testscript"
)

var client = &http.Client{Timeout: programs.Patience}

func ask(ts *testscript.TestScript, method, path, body string) (status int, answer string, err error) {
	return programs.Request(client, method, "http://"+ts.Getenv("ADDR")+path, "", body)
}

// ready waits until serve answers at $ADDR.
func ready(ts *testscript.TestScript, _ []string) {
	var err error
	if !programs.Poll(programs.Patience, func() bool { _, _, err = ask(ts, "GET", "/health", ""); return err == nil }) {
		ts.Fatalf("serve does not answer: %v", err)
	}
}

// get and post verify the status of an answer and make its body the standard output.
func get(ts *testscript.TestScript, args []string) { want(ts, args[0], "GET", args[1], "") }
func post(ts *testscript.TestScript, args []string) {
	want(ts, args[0], "POST", args[1], args[2])
}

func want(ts *testscript.TestScript, status, method, path, body string) {
	got, answer, err := ask(ts, method, path, body)
	ts.Check(err)
	io.WriteString(ts.Stdout(), answer)
	if strconv.Itoa(got) != status {
		ts.Fatalf("%s %s: status %d, want %s: %s", method, path, got, status, answer)
	}
}

// score posts each customer of a CSV file to /predict.
func score(ts *testscript.TestScript, args []string) {
	records, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	for _, record := range records[1:] {
		customer := map[string]any{}
		for i, cell := range record {
			customer[records[0][i]] = cell
			if x, err := strconv.ParseFloat(cell, 64); err == nil && json.Valid([]byte(cell)) {
				customer[records[0][i]] = x
			}
		}
		body, err := json.Marshal(customer)
		ts.Check(err)
		if status, answer, err := ask(ts, "POST", "/predict", string(body)); err != nil || status != http.StatusOK {
			ts.Fatalf("%s: status %d, %v: %s", body, status, err, answer)
		}
	}
}

// sigterm sends SIGTERM to the programs in the background.
func sigterm(ts *testscript.TestScript, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

// hammer posts customers from four clients, kills serve by SIGKILL after N answers, and
// verifies that the record of each answer is in the log.
func hammer(ts *testscript.TestScript, args []string) {
	kill := number(ts, args[0])
	var mu sync.Mutex
	answered := []string{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				status, answer, err := ask(ts, "POST", "/predict", programs.GoodCustomer)
				var record struct {
					RequestID string `json:"request_id"`
				}
				if err != nil || status != http.StatusOK || json.Unmarshal([]byte(answer), &record) != nil {
					return
				}
				mu.Lock()
				answered = append(answered, record.RequestID)
				if len(answered) == kill {
					for _, cmd := range ts.BackgroundCmds() {
						cmd.Process.Kill() // an error leads to too many answers below
					}
				}
				enough := len(answered) > 100*kill
				mu.Unlock()
				if enough {
					return
				}
			}
		})
	}
	wg.Wait()
	if len(answered) < kill || len(answered) > 100*kill {
		ts.Fatalf("%d answers, want %d and then a few: serve was not killed in time", len(answered), kill)
	}
	log := ts.ReadFile("logs/predictions.log")
	for _, id := range answered {
		if !strings.Contains(log, `{"request_id":"`+id+`",`) {
			ts.Fatalf("request %s was answered but not logged", id)
		}
	}
}

// recompute verifies that the log has N complete records and computes each probability from
// the model's file by the documented formula:
//
//	1/(1+exp(−z)), z = intercept + Σ w·(x−mean)/std + the weights of the levels
func recompute(ts *testscript.TestScript, args []string) {
	type document struct {
		Intercept, Threshold float64
		Weights              map[string]float64
		Encoder              struct {
			Numbers map[string]struct{ Mean, Std float64 }
		}
	}
	models := map[string]*document{}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("logs/predictions.log"), "\n"), "\n")
	if len(lines) != number(ts, args[0]) {
		ts.Fatalf("%d records in the log, want %s", len(lines), args[0])
	}
	for i, line := range lines {
		var r struct {
			Model       string `json:"model_version"`
			Prediction  int
			Probability float64
			Threshold   float64
			Features    map[string]any
		}
		ts.Check(json.Unmarshal([]byte(line), &r))
		if models[r.Model] == nil {
			models[r.Model] = &document{}
			ts.Check(json.Unmarshal([]byte(ts.ReadFile("models/"+r.Model)), models[r.Model]))
		}
		m := models[r.Model]
		z := m.Intercept
		for name, v := range r.Features {
			weight, x := name, 1.0
			if level, ok := v.(string); ok {
				weight += "=" + level
			} else {
				scaling := m.Encoder.Numbers[name]
				x = (v.(float64) - scaling.Mean) / scaling.Std
			}
			w, ok := m.Weights[weight]
			if !ok {
				ts.Fatalf("record %d: the model has no weight %s", i+1, weight)
			}
			z += w * x
		}
		p := 1 / (1 + math.Exp(-z))
		if math.Abs(p-r.Probability) > 6e-7 { // the record has six decimals
			ts.Fatalf("record %d: probability %v, want %v: %s", i+1, r.Probability, p, line)
		}
		if r.Threshold != m.Threshold || (r.Prediction == 1) != (p >= m.Threshold) {
			ts.Fatalf("record %d: the model's threshold is %v: %s", i+1, m.Threshold, line)
		}
	}
}

// journal verifies that history.jsonl is a chain of N changes from no model to the current one.
func journal(ts *testscript.TestScript, args []string) {
	lines := bytes.SplitAfter([]byte(ts.ReadFile("registry/history.jsonl")), []byte("\n"))
	lines = slices.DeleteFunc(lines, func(line []byte) bool { return len(line) == 0 })
	at := ""
	for i, line := range lines {
		var change struct{ From, To string }
		ts.Check(json.Unmarshal(line, &change))
		if change.From != at {
			ts.Fatalf("change %d is from %q, the previous one to %q", i+1, change.From, at)
		}
		at = change.To
	}
	if current := ts.ReadFile("registry/current_model.txt"); len(lines) != number(ts, args[0]) ||
		at != strings.TrimSpace(current) {
		ts.Fatalf("%d changes, want %s; the last is to %q, current is %q", len(lines), args[0], at, current)
	}
}

// outcomes writes the outcomes of the first N customers in the log: the last column of the
// rows of a CSV file, or 1 for all without a file.
func outcomes(ts *testscript.TestScript, args []string) {
	var truth [][]string
	if len(args) > 3 {
		var err error
		truth, err = csv.NewReader(strings.NewReader(ts.ReadFile(args[3]))).ReadAll()
		ts.Check(err)
	}
	text, n := "request_id,"+args[1]+"\n", 0
	for line := range strings.Lines(ts.ReadFile("logs/predictions.log")) {
		if n++; n > number(ts, args[2]) {
			break
		}
		var r struct {
			ID string `json:"request_id"`
		}
		ts.Check(json.Unmarshal([]byte(line), &r))
		outcome := "1"
		if truth != nil {
			outcome = truth[n][len(truth[n])-1]
		}
		text += r.ID + "," + outcome + "\n"
	}
	put(ts, args[0], text)
}
