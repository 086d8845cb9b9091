package clients_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// Whether something is there is asked by HEAD, or with OPTIONS.
func TestProbes(t *testing.T) {
	wget, curl := need.Program(t, "wget", "wget"), need.Program(t, "curl", "curl")
	s := start(t)
	for _, path := range []string{"/", "/health", "/models", "/openapi.json", "/metrics", "/v2", "/ping", "/docs"} {
		run(t, "", wget, "-q", "--spider", s.URL(path))
		if head := run(t, "", curl, "-fsI", s.URL(path)); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
			t.Errorf("curl -I %s: %s", path, head)
		}
	}
	if out := run(t, "", curl, "-fs", "-L", s.URL("/health/")); !strings.Contains(out, `"status":"ok"`) {
		t.Errorf("curl -L /health/: %s", out)
	}
}

const haproxyConfig = `defaults
	mode http
	timeout connect 5s
	timeout client 20s
	timeout server 20s
frontend in
	bind %s
	default_backend churn
backend churn
	option httpchk %s
	default-server check inter 100ms fall 1 rise 1 init-addr none
	server churn %s
`

// HAProxy takes the service for healthy, with its own kind of check and with one of /readyz.
func TestHAProxy(t *testing.T) {
	program := need.Program(t, "haproxy", "haproxy")
	s := start(t)
	for _, check := range []string{"", "HEAD /readyz", "OPTIONS /predict", "GET /livez"} {
		addr, err := programs.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "haproxy.cfg")
		programs.WriteFile(t, path, fmt.Sprintf(haproxyConfig, addr, check, s.Addr))
		ctx, stop := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, program, "-db", "-f", path)
		var log strings.Builder
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		up := programs.Poll(programs.Patience, func() bool {
			status, _, err := programs.Request(s.Loop.Client, "POST", "http://"+addr+"/predict", "application/json",
				programs.GoodCustomer)
			return err == nil && status == 200
		})
		stop()
		cmd.Wait() // the error is the signal
		if !up || strings.Contains(log.String(), "is DOWN") {
			t.Errorf("option httpchk %s: in rotation %v: %s", check, up, log.String())
		}
	}
}
