package docs_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// The demo and the tutorial send nothing to a service that has their port already: it would log
// their customers as its own.
func TestTakenPort(t *testing.T) {
	need.Program(t, "curl", "curl")
	bin := programs.Build(t)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another service gets %s %s", r.Method, r.URL)
	}))
	defer other.Close()
	addr := strings.TrimPrefix(other.URL, "http://")
	check := func(script string, args ...string) {
		t.Helper()
		l := programs.NewLoop(t, bin)
		page := "```sh\n" + programs.PageBlock(t, "docs/tutorial.md", "sh", "serve --addr") + "```\n"
		if err := os.Mkdir(l.Path("docs"), 0o755); err != nil {
			t.Fatal(err)
		}
		programs.WriteFile(t, l.Path("docs/tutorial.md"), strings.ReplaceAll(page, "127.0.0.1:8000", addr))
		if err := os.Symlink(bin, l.Path("bin")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", append([]string{filepath.Join(programs.Root(t), "cmd", script)}, args...)...)
		cmd.Dir, cmd.Env = l.Dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"),
			"CHURN_TRAIN_GATE_F1=1") // which is not for the demo
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "address already in use") {
			t.Errorf("%s with a port that is taken: %v\n%s", script, err, out)
		}
	}
	check("tutorial.sh")
	check("demo.sh", addr)
}
