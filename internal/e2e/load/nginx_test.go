package load_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// An nginx is a running nginx with its configuration in a temporary folder.
type nginx struct {
	*testing.T
	cmd    *exec.Cmd
	stderr string // file
}

// startNginx starts nginx with deploy's configuration on an address, in front of services.
func startNginx(t *testing.T, addr string, upstreams []*programs.Service) *nginx {
	t.Helper()
	conf := programs.DeployFile(t, "nginx.conf")
	for i, s := range upstreams {
		conf = replaceOnce(t, conf, fmt.Sprintf("server 127.0.0.1:%d ", 8001+i), "server "+s.Addr+" ")
	}
	return runNginx(t, addr, conf)
}

// runNginx starts nginx with a configuration of a server, at an address instead of port 8000.
func runNginx(t *testing.T, addr, conf string) *nginx {
	t.Helper()
	program := need.Program(t, "nginx", "nginx-light")
	conf = replaceOnce(t, conf, "listen 127.0.0.1:8000;", "listen "+addr+";")
	dir := t.TempDir()
	n := &nginx{T: t, stderr: filepath.Join(dir, "error.log")}
	var main strings.Builder
	if os.Geteuid() == 0 {
		fmt.Fprintln(&main, "user root;") // other users may not enter the folder
	}
	fmt.Fprintf(&main, "daemon off;\nworker_processes 2;\npid %s/pid;\nerror_log %s info;\nevents { "+
		"worker_connections 512; }\nhttp {\naccess_log off;\n", dir, n.stderr)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&main, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	fmt.Fprintf(&main, "%s}\n", conf)
	path := filepath.Join(dir, "nginx.conf")
	programs.WriteFile(t, path, main.String())
	n.cmd = exec.Command(program, "-e", n.stderr, "-p", dir, "-c", path)
	stderr, err := os.OpenFile(n.stderr, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close() // nginx has its own descriptor
	n.cmd.Stderr = stderr
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { n.cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		// Not SIGQUIT: nginx would wait for a connection that a client has opened and not used. An error means that it
		// has ended.
		n.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(programs.Patience):
			n.cmd.Process.Kill()
			<-ended
			t.Error("nginx did not end")
		}
	})
	hasEnded := func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	}
	listens := func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	if !programs.Poll(programs.Patience, func() bool { return hasEnded() || listens() }) || hasEnded() {
		t.Fatalf("nginx does not listen: %s", programs.ReadFile(t, n.stderr))
	}
	return n
}

// errors returns how often a service refused a connection, which is expected, and the
// other lines of nginx's error log.
func (n *nginx) errors() (refused int, others []string) {
	n.Helper()
	for line := range strings.Lines(programs.ReadFile(n.T, n.stderr)) {
		switch {
		case !regexp.MustCompile(`\[(warn|error|crit|alert|emerg)\]`).MatchString(line):
		case strings.Contains(line, "(111: Connection refused) while connecting to upstream"):
			refused++
		case strings.Contains(line, "[warn]") && strings.Contains(line, "upstream server temporarily disabled"):
		default:
			others = append(others, line)
		}
	}
	return refused, others
}

func replaceOnce(t *testing.T, text, old, new string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("the configuration has %q %d times, want it once", old, strings.Count(text, old))
	}
	return strings.Replace(text, old, new, 1)
}

// TestTargets sends requests to two services on folders of two targets through nginx, as docs/deploy.md
// sets it up. Each prefix leads to its service, on every path.
func TestTargets(t *testing.T) {
	bin := programs.Build(t)
	conf := programs.PageBlock(t, "docs/deploy.md", "nginx", "location /upsell/")
	front := programs.EmptyLoop(t, bin) // nginx listens at its address
	loops := map[string]*programs.Loop{}
	for name, addr := range map[string]string{"churn": "127.0.0.1:8001", "upsell": "127.0.0.1:8005"} {
		l := programs.EmptyLoop(t, bin)
		l.Run("generate")
		raw := programs.ReadFile(t, l.Path("data/raw.csv"))
		programs.WriteFile(t, l.Path("in.csv"), strings.Replace(raw, "churn", name, 1))
		l.Run("prepare", "--in", l.Path("in.csv"), "--target", name)
		l.Run("train")
		l.Start()
		conf = replaceOnce(t, conf, addr, l.Addr)
		loops[name] = l
	}
	proxy := runNginx(t, front.Addr, conf)
	for name, l := range loops {
		customer := programs.With("{", fmt.Sprintf(`{"%s":1,`, name)) // the target is ignored, another field refused
		for path, body := range map[string]string{"/health": "", "/models/current": "", "/predict": customer, "/docs": "",
			"/": "", "/v2/models/" + name: ""} {
			status, answer := front.Post("/"+name+path, body)
			if want := name + "_model_v1_"; status != 200 || body != "" && !strings.Contains(answer, want) {
				t.Errorf("%s%s: %d, want 200 and %s: %.300s", name, path, status, want, answer)
			}
		}
		if log := programs.ReadFile(t, l.Path("logs/predictions.log")); strings.Count(log, "\n") != 1 {
			t.Errorf("the log of %s is %s, want one record", name, log)
		}
		status, answer := front.Get("/" + name + "/models/current/") // redirected below the prefix
		if status != 200 || !strings.Contains(answer, name+"_model_v1_") {
			t.Errorf("%s with a slash at the end: %d, %.300s", name, status, answer)
		}
	}
	if status, _ := front.Get("/predict"); status != 404 {
		t.Errorf("without a prefix: %d, want 404", status)
	}
	if refused, others := proxy.errors(); refused > 0 || len(others) > 1 { // the request without a prefix
		t.Errorf("nginx logged %d refusals and %q", refused, others)
	}
}
