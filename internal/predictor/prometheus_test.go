package predictor

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/drift"
	"churn/internal/predictor/apikey"
	"churn/internal/testing/need"
	"churn/internal/testing/programs"

	"github.com/go-json-experiment/json"
)

// A real Prometheus, with a key, scrapes the service.
func TestPrometheusScrapesTheService(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a real Prometheus")
	}
	binary := need.Program(t, "prometheus", "prometheus")
	keys, err := apikey.ReadKeys(writeKeys(t, "a-key\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, usual, func(p *Predictor) { p.Keys = keys })
	name := s.train(1)
	for range drift.MinRows {
		if answer, text := s.ask("POST", "/predict", customer, "X-API-Key: a-key"); answer.StatusCode != 200 {
			t.Fatal(text)
		}
	}
	if answer, text := s.ask("POST", "/predict", "{}", "X-API-Key: a-key"); answer.StatusCode != 422 {
		t.Fatal(text)
	}
	prometheus := startPrometheus(t, binary, strings.TrimPrefix(s.url, "http://"))
	query := func(q string) string {
		answer, err := http.Get(prometheus + "/api/v1/query?query=" + url.QueryEscape(q))
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		var result struct {
			Data struct {
				Result []struct {
					Value [2]any `json:"value"`
				} `json:"result"`
			} `json:"data"`
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil || json.Unmarshal(text, &result) != nil || len(result.Data.Result) != 1 {
			return string(text)
		}
		return fmt.Sprint(result.Data.Result[0].Value[1])
	}
	check := func(q, want string) {
		t.Helper()
		eventually(t, q+" is "+want, func() bool { return query(q) == want })
	}
	check(`up{job="churn"}`, "1")
	check(fmt.Sprintf(`sum(churn_predictions_total{model=%q})`, name), fmt.Sprint(drift.MinRows))
	check(`churn_http_requests_total{route="/predict",status="200"}`, fmt.Sprint(drift.MinRows))
	check(`churn_probability_count`, fmt.Sprint(drift.MinRows))
	check(fmt.Sprintf(`churn_model_info{model=%q,version="v1"}`, name), "1")
	check(`count(churn_drift_z)`, "4") // three numbers and the probability
	check(`count(churn_drift_p{feature=~"plan_type|region"})`, "2")
	check(`churn_drift_p{feature="num_complaints"} < bool 0.01`, "1") // the same customer again and again is drift
	for _, q := range dashboardQueries(t) {
		check("count("+q+") > bool 0", "1")
	}
}

// dashboardQueries returns the queries of deploy's dashboard for Grafana.
func dashboardQueries(t *testing.T) (all []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title, Description string
			Targets            []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(programs.DeployFile(t, "grafana.json")), &dashboard,
		json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("a panel has no title, description or query: %+v", p)
		}
		for _, target := range p.Targets {
			all = append(all, strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"))
		}
	}
	if len(all) < 8 {
		t.Errorf("the dashboard has only %d queries", len(all))
	}
	return all
}

// startPrometheus starts one that scrapes target, and returns its URL.
func startPrometheus(t *testing.T, binary, target string) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`
scrape_configs:
  - job_name: churn
    scrape_interval: 100ms
    scrape_timeout: 100ms
    authorization: {credentials: a-key}
    static_configs: [{targets: [%q]}]
`, target)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a free port
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var output lines
	cmd := exec.Command(binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"),
		"--web.listen-address="+addr)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		cmd.Wait() // an error: it was killed
		if t.Failed() {
			t.Logf("prometheus said:\n%s", output.String())
		}
	})
	return "http://" + addr
}
