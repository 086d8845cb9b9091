package cmd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A service is a serve on a loop's folder, with an address of its own. It may be
// killed and started again.
type service struct {
	loop  *loop
	addr  string
	files int       // that it may have open; 0: as many as this process
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
	if s.files > 0 {
		cmd = exec.Command("sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, strconv.Itoa(s.files)}, cmd.Args...)...)
	}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	s.serve = cmd
	if !wait(patience, func() bool { _, _, err := s.send("/health", ""); return err == nil }) {
		text, _ := os.ReadFile(s.said)
		return fmt.Errorf("serve does not answer: %s", text)
	}
	return nil
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

// An event is a line of serve's standard error.
type event struct {
	Level, Msg, Error string

	line string
}

// events returns what serve has said in all its lives: lines of JSON that print, and
// that tell of no panic.
func (s *service) events() (events []event) {
	s.loop.Helper()
	hidden := func(c rune) bool { return c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 }
	for line := range strings.Lines(readFile(s.loop.T, s.said)) {
		e := event{line: line}
		if err := json.Unmarshal([]byte(line), &e); err != nil || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), hidden) || strings.Contains(line, "panic") {
			s.loop.Errorf("serve said %q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

// says tells whether serve has said a text.
func (s *service) says(text string) bool {
	s.loop.Helper()
	return strings.Contains(readFile(s.loop.T, s.said), text)
}

// goodCustomer is one that every model of a loop knows.
const goodCustomer = `{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}`

// customer is the good one, with a request_id.
func customer(id string) string { return with("{", `{"request_id":"`+id+`",`) }

// with is the good customer with another text in it.
func with(old, new string) string { return strings.Replace(goodCustomer, old, new, 1) }

// exchange asks with a client, and returns the whole answer. The media type of the
// body may be "".
func exchange(client *http.Client, method, url, media, body string) (status int, answer string, err error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (s *service) url(path string) string { return "http://" + s.addr + path }

// send posts JSON, or without a body gets.
func (s *service) send(path, body string) (status int, answer string, err error) {
	if body == "" {
		return exchange(s.loop.client, "GET", s.url(path), "", "")
	}
	return exchange(s.loop.client, "POST", s.url(path), "application/json", body)
}

// post is send for who must be answered.
func (s *service) post(path, body string) (status int, answer string) {
	s.loop.Helper()
	status, answer, err := s.send(path, body)
	if err != nil {
		s.loop.Fatal(err)
	}
	return status, answer
}

func (s *service) get(path string) (status int, answer string) {
	s.loop.Helper()
	return s.post(path, "")
}

// answer is what a client remembers of an answer.
type answer struct {
	by            *service
	id, model     string
	asked, gotten time.Time
}

// predict asks for a prediction. The error is for a service that went away.
func (s *service) predict() (a answer, gone error) {
	a.by, a.asked = s, time.Now()
	status, body, err := s.send("/predict", goodCustomer)
	a.gotten = time.Now()
	if err != nil {
		return a, err
	}
	var r struct {
		ID    string `json:"request_id"`
		Model string `json:"model_version"`
	}
	if err := json.Unmarshal([]byte(body), &r); status != http.StatusOK || err != nil {
		s.loop.Errorf("answer %d, %v: %s", status, err, body)
	}
	a.id, a.model = r.ID, r.Model
	return a, nil
}
