package scripts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// TestUnits verifies the systemd units of deploy: systemd accepts them, their commands run on a
// folder that is laid out as they expect, and serve has the time that it needs to stop.
func TestUnits(t *testing.T) {
	bin := programs.Build(t)
	l := programs.NewLoop(t, bin)
	dir := t.TempDir()
	units := []string{"churn.service", "drift.service", "drift.timer"}
	args := []string{"verify", "--man=no"}
	for _, name := range units {
		unit := programs.DeployFile(t, name)
		unit = strings.ReplaceAll(unit, "/usr/local/bin/", bin+"/")
		programs.WriteFile(t, filepath.Join(dir, name), unit)
		args = append(args, filepath.Join(dir, name))
		if name == "churn.service" { // docs/deploy.md makes a template of it for replicas
			template := filepath.Join(dir, "churn@.service")
			programs.WriteFile(t, template, strings.ReplaceAll(unit, ":8000", ":%i --log logs/predictions-%i.log"))
			args = append(args, template)
		}
	}

	serve := unitArgs(t, "churn.service", "serve", l.Dir)
	drain := time.Duration(0)
	var rest []string
	for i := 0; i < len(serve); i += 2 {
		switch flag, value := serve[i], serve[i+1]; flag {
		case "--drain":
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Error(err)
			}
			drain = d
		case "--dir", "--addr":
		default:
			rest = append(rest, flag, value)
		}
	}
	const finish = 10 * time.Second // for requests in flight
	stop, err := time.ParseDuration(setting(t, "churn.service", "TimeoutStopSec") + "s")
	if err != nil || drain < time.Second || stop <= drain+finish {
		t.Errorf("serve is killed after %v, and takes up to %v to stop (%v)", stop, drain+finish, err)
	}
	s := l.NewService()
	s.Start(append(rest, "--drain", "100ms")...)
	for range 40 {
		if _, err := s.Predict(); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop()
	// The customers are all the same, so there is drift, which this unit does not call a failure.
	status, _, err := l.Exec("drift", unitArgs(t, "drift.service", "drift", l.Dir)...)
	if status != 1 || setting(t, "drift.service", "SuccessExitStatus") != "1" {
		t.Errorf("drift ends with %d, %v", status, err)
	}

	analyze := need.Program(t, "systemd-analyze", "systemd")
	if out, err := exec.Command(analyze, args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	for _, name := range units[:2] { // of 0 to 10; 2.0 and below is "OK"
		out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=20",
			filepath.Join(dir, name)).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze security %s: %v\n%s", name, err, out)
		}
	}
}

// unitArgs returns the arguments of a unit's program, with another folder.
func unitArgs(t *testing.T, unit, program, dir string) []string {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(setting(t, unit, "ExecStart"), "/srv/churn", dir))
	if words[0] != "/usr/local/bin/"+program || len(words)%2 == 0 {
		t.Fatalf("%s runs %q", unit, words)
	}
	return words[1:]
}

// setting returns the value of a setting that a unit has once.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+name+`=(.+)$`).FindAllStringSubmatch(programs.DeployFile(t, unit), -1)
	if len(found) != 1 {
		t.Fatalf("%s has %s %d times", unit, name, len(found))
	}
	return found[0][1]
}

// TestLogrotateFile rotates a log twice with deploy's configuration: drift then reads all parts.
func TestLogrotateFile(t *testing.T) {
	logrotate := need.Program(t, "logrotate", "logrotate")
	l := programs.NewLoop(t, programs.Build(t))
	conf := strings.ReplaceAll(programs.DeployFile(t, "logrotate.conf"), "/srv/churn", l.Dir)
	conf = strings.Replace(conf, "su churn churn", fmt.Sprintf("su %d %d", os.Geteuid(), os.Getegid()), 1)
	path, state := filepath.Join(t.TempDir(), "conf"), filepath.Join(t.TempDir(), "state")
	programs.WriteFile(t, path, conf)
	out, err := exec.Command(logrotate, "-d", "-s", state, path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "error") || !strings.Contains(string(out), "predictions*.log") {
		t.Fatalf("logrotate -d: %v\n%s", err, out)
	}
	l.Start()
	for range 2 {
		for range 20 {
			if _, err := l.Predict(); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command(logrotate, "-f", "-s", state, path).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		time.Sleep(1100 * time.Millisecond) // the names have seconds
	}
	l.Stop()
	if found, _ := filepath.Glob(l.Path("logs/predictions.log-*")); len(found) != 2 {
		t.Errorf("%q", found)
	}
	if _, out, err := l.Exec("drift", "--json"); !strings.Contains(string(out), `"records": 40`) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestDockerfile verifies that the image has each of the binaries, built by the Go of go.mod and
// with the Makefile's flags, and that its command is serve's, by a user who is not root.
func TestDockerfile(t *testing.T) {
	file := programs.DeployFile(t, "Dockerfile")
	root := programs.Root(t)
	module := programs.ReadFile(t, filepath.Join(root, "go.mod"))
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(module)
	for _, line := range []string{"FROM golang:" + version[1] + " AS build", "RUN make -s build", "FROM scratch"} {
		if !slices.Contains(strings.Split(file, "\n"), line) {
			t.Errorf("there is no line %q", line)
		}
	}
	_, image, _ := strings.Cut(file, "FROM scratch")
	if !regexp.MustCompile(`(?m)^USER [1-9]\d*:[1-9]\d*$`).MatchString(image) {
		t.Error("the user is root, or has no number")
	}
	names, err := filepath.Glob(filepath.Join(root, "cmd", "*", "main.go"))
	if err != nil || len(names) != 7 {
		t.Fatalf("%q, %v", names, err)
	}
	for _, name := range names {
		if binary := "/src/bin/" + filepath.Base(filepath.Dir(name)); !slices.Contains(strings.Fields(image), binary) {
			t.Errorf("%s is not copied", binary)
		}
	}
	help, err := exec.Command(filepath.Join(programs.Build(t), "serve"), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range regexp.MustCompile(`"(--[\w-]+)=`).FindAllStringSubmatch(image, -1) {
		if !strings.Contains(string(help), flag[1]+" ") {
			t.Errorf("serve has no %s", flag[1])
		}
	}
}
