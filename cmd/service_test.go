package cmd_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A service is a serve on a loop's folder, with an address of its own. It may be
// killed and started again.
type service struct {
	loop  *loop
	addr  string
	serve *exec.Cmd // nil while it does not run
	said  string    // the file that has its standard error, of all its lives
}

// another returns a service on the folder, to be started. It ends with the test.
func (l *loop) another() *service {
	l.Helper()
	addr, err := freeAddress()
	if err != nil {
		l.Fatal(err)
	}
	s := &service{loop: l, addr: addr, said: filepath.Join(l.TempDir(), "stderr")}
	l.Cleanup(func() {
		if s.serve != nil {
			s.kill()
		}
	})
	return s
}

// start starts serve and waits for its answer.
func (s *service) start(args ...string) {
	s.loop.Helper()
	if err := s.tryStart(args...); err != nil {
		s.loop.Fatal(err)
	}
}

// tryStart is start for any goroutine.
func (s *service) tryStart(args ...string) error {
	stderr, err := os.OpenFile(s.said, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer stderr.Close() // serve has its own
	cmd := s.loop.command("serve", append([]string{"--addr", s.addr}, args...)...)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	s.serve = cmd
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		resp, err := s.loop.client.Get("http://" + s.addr + "/health")
		if err == nil {
			return resp.Body.Close()
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(s.said)
			return fmt.Errorf("serve does not answer: %s", text)
		}
	}
}

// kill ends the service with signal 9.
func (s *service) kill() {
	s.serve.Process.Kill() // an error means that it is gone already
	s.serve.Wait()         // which tells that it was killed
	s.serve = nil
}

// stop asks the service to end, and wants it to end well.
func (s *service) stop() {
	s.loop.Helper()
	err := s.serve.Process.Signal(os.Interrupt)
	if err := errors.Join(err, s.serve.Wait()); err != nil {
		s.loop.Errorf("serve ended with %v", err)
	}
	s.serve = nil
}
