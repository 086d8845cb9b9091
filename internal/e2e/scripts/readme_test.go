package scripts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/testing/programs"
)

// TestReadmeSession runs the session of README, except its build and with another port.
func TestReadmeSession(t *testing.T) {
	bin := programs.Build(t)
	session := programs.PageBlock(t, "README.md", "sh", "make build\n")
	for _, tool := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: README's session needs %s", tool)
		}
	}
	addr, err := programs.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Skip(err)
	}
	session = strings.Replace(session, "make build\n", "", 1)
	session = strings.ReplaceAll(session, "127.0.0.1:8000", addr)
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", session+"\nwait\n")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"1200 customers, ",
		"_v2_", "passed: its log loss of ", " is registered but rejected: ",
		`{"status":"ok","current_model":"churn_model_v2_`,
		`"features":{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}`,
		" is current; before: churn_model_v2_",
		"stopping",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the session does not print %q:\n%s", want, out)
		}
	}
}
