package scripts_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"

	"github.com/oasdiff/yaml"
)

// TestRules verifies deploy's rules with promtool and testdata/rules_test.yml, and that the
// service has their metrics.
func TestRules(t *testing.T) {
	rules := programs.DeployFile(t, "prometheus-rules.yaml")
	wantMetrics(t, rules)
	tests := programs.ReadFile(t, "testdata/rules_test.yml")
	for _, name := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if strings.Count(tests, "alertname: "+name[1]) < 3 {
			t.Errorf("%s is not tested both ways", name[1])
		}
	}
	promtool(t, rules, tests)
}

// promtool verifies rules, and tests of them that read rules.yml.
func promtool(t *testing.T, rules, tests string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"rules.yml": rules, "rules_test.yml": tests} {
		programs.WriteFile(t, filepath.Join(dir, name), text)
	}
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}} {
		cmd := exec.Command(need.Program(t, "promtool", "prometheus"), args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// wantMetrics verifies that the service declares each metric in a text.
func wantMetrics(t *testing.T, text string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(programs.Root(t), "internal/predictor/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source.WriteString(programs.ReadFile(t, file))
	}
	names := regexp.MustCompile(`churn_\w+`).FindAllString(text, -1)
	if len(names) < 6 {
		t.Errorf("the rules use only %q", names)
	}
	for _, name := range names {
		if !strings.Contains(source.String(), `"`+strings.TrimSuffix(name, "_bucket")+`"`) {
			t.Errorf("the service has no %s", name)
		}
	}
}

// TestCompose verifies that all ports of deploy's compose file are on the loopback, that the files it
// mounts are there, and that promtool accepts its Prometheus with the rules.
func TestCompose(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Ports, Volumes []string
		}
		Configs map[string]struct{ Content string }
	}
	text, err := yaml.YAMLToJSON([]byte(programs.DeployFile(t, "compose.yaml")))
	if err == nil {
		err = json.Unmarshal(text, &compose)
	}
	if err != nil || len(compose.Services) != 4 {
		t.Fatalf("%d services, %v", len(compose.Services), err)
	}
	dir := t.TempDir()
	for name, service := range compose.Services {
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s listens at %s", name, port)
			}
		}
		for _, volume := range service.Volumes {
			from, to, _ := strings.Cut(volume, ":")
			if file, ours := strings.CutPrefix(from, "./"); ours {
				to, _, _ = strings.Cut(filepath.Base(to), ":")
				programs.WriteFile(t, filepath.Join(dir, to), programs.DeployFile(t, file))
			}
		}
	}
	programs.WriteFile(t, filepath.Join(dir, "prometheus.yml"), compose.Configs["prometheus"].Content)
	cmd := exec.Command(need.Program(t, "promtool", "prometheus"), "check", "config", "prometheus.yml")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "9 rules found") {
		t.Errorf("%v\n%s", err, out)
	}
}
