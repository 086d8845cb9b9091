package scripts_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
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
	promtool := need.Program(t, "promtool", "prometheus")
	dir := t.TempDir()
	for name, text := range map[string]string{"rules.yml": rules, "rules_test.yml": tests} {
		programs.WriteFile(t, filepath.Join(dir, name), text)
	}
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}} {
		cmd := exec.Command(promtool, args...)
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
