// Package clients_test uses the service with the clients that people have: those of other
// servers, balancers, and those that are generated from its OpenAPI document.
package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/testing/programs"
)

// start starts a service with a model, without a race detector: the clients take the time.
func start(t *testing.T, args ...string) *programs.Service {
	t.Helper()
	if testing.Short() {
		t.Skip("other people's clients take seconds")
	}
	s := programs.NewLoop(t, programs.Build(t)).NewService()
	s.Start(args...)
	return s
}

// document writes the OpenAPI document of a service into a file, and returns its path.
func document(s *programs.Service) string {
	s.Loop.Helper()
	status, text := s.Get("/openapi.json")
	if status != 200 {
		s.Loop.Fatalf("/openapi.json: %d %s", status, text)
	}
	path := filepath.Join(s.Loop.TempDir(), "openapi.json")
	programs.WriteFile(s.Loop.T, path, text)
	return path
}

// run runs a client in a folder and returns what it writes. It must end with status 0.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
