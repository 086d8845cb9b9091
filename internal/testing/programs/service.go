package programs

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
type Service struct {
	Loop  *Loop
	Addr  string
	Files int       // that it may have open; 0: as many as this process
	Serve *exec.Cmd // nil while it does not run
	Said  string    // the file that has its standard error, of all its lives
}

// another returns a service on the folder, to be started. It ends with the test.
func (l *Loop) Another() *Service {
	l.Helper()
	addr, err := FreeAddress()
	if err != nil {
		l.Fatal(err)
	}
	s := &Service{Loop: l, Addr: addr, Said: filepath.Join(l.TempDir(), "stderr")}
	l.Cleanup(func() {
		if s.Serve != nil {
			s.Kill()
		}
	})
	return s
}

// start starts serve and waits for its answer.
func (s *Service) Start(args ...string) {
	s.Loop.Helper()
	if err := s.TryStart(args...); err != nil {
		s.Loop.Fatal(err)
	}
}

// tryStart is start for any goroutine.
func (s *Service) TryStart(args ...string) error {
	stderr, err := os.OpenFile(s.Said, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer stderr.Close() // serve has its own
	cmd := s.Loop.Command("serve", append([]string{"--addr", s.Addr}, args...)...)
	if s.Files > 0 {
		cmd = exec.Command("sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, strconv.Itoa(s.Files)}, cmd.Args...)...)
	}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	s.Serve = cmd
	if !Wait(Patience, func() bool { _, _, err := s.Send("/health", ""); return err == nil }) {
		text, _ := os.ReadFile(s.Said)
		return fmt.Errorf("serve does not answer: %s", text)
	}
	return nil
}

// kill ends the service with signal 9.
func (s *Service) Kill() {
	s.Serve.Process.Kill() // an error means that it is gone already
	s.Serve.Wait()         // which tells that it was killed
	s.Serve = nil
}

// stop asks the service to end, and wants it to end well.
func (s *Service) Stop() {
	s.Loop.Helper()
	err := s.Serve.Process.Signal(os.Interrupt)
	if err := errors.Join(err, s.Serve.Wait()); err != nil {
		s.Loop.Errorf("serve ended with %v", err)
	}
	s.Serve = nil
}

// An event is a line of serve's standard error.
type Event struct {
	Level, Msg, Error string

	Line string
}

// events returns what serve has said in all its lives: lines of JSON that print, and
// that tell of no panic.
func (s *Service) Events() (events []Event) {
	s.Loop.Helper()
	hidden := func(c rune) bool { return c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 }
	for line := range strings.Lines(ReadFile(s.Loop.T, s.Said)) {
		e := Event{Line: line}
		if err := json.Unmarshal([]byte(line), &e); err != nil || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), hidden) || strings.Contains(line, "panic") {
			s.Loop.Errorf("serve said %q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

// says tells whether serve has said a text.
func (s *Service) Says(text string) bool {
	s.Loop.Helper()
	return strings.Contains(ReadFile(s.Loop.T, s.Said), text)
}

// goodCustomer is one that every model of a loop knows.
const GoodCustomer = `{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}`

// customer is the good one, with a request_id.
func Customer(id string) string { return With("{", `{"request_id":"`+id+`",`) }

// with is the good customer with another text in it.
func With(old, new string) string { return strings.Replace(GoodCustomer, old, new, 1) }

// exchange asks with a client, and returns the whole answer. The media type of the
// body may be "".
func Exchange(client *http.Client, method, url, media, body string) (status int, answer string, err error) {
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

func (s *Service) Url(path string) string { return "http://" + s.Addr + path }

// send posts JSON, or without a body gets.
func (s *Service) Send(path, body string) (status int, answer string, err error) {
	if body == "" {
		return Exchange(s.Loop.Client, "GET", s.Url(path), "", "")
	}
	return Exchange(s.Loop.Client, "POST", s.Url(path), "application/json", body)
}

// post is send for who must be answered.
func (s *Service) Post(path, body string) (status int, answer string) {
	s.Loop.Helper()
	status, answer, err := s.Send(path, body)
	if err != nil {
		s.Loop.Fatal(err)
	}
	return status, answer
}

func (s *Service) Get(path string) (status int, answer string) {
	s.Loop.Helper()
	return s.Post(path, "")
}

// answer is what a client remembers of an answer.
type Answer struct {
	By            *Service
	Id, Model     string
	Asked, Gotten time.Time
}

// predict asks for a prediction. The error is for a service that went away.
func (s *Service) Predict() (a Answer, gone error) {
	a.By, a.Asked = s, time.Now()
	status, body, err := s.Send("/predict", GoodCustomer)
	a.Gotten = time.Now()
	if err != nil {
		return a, err
	}
	var r struct {
		ID    string `json:"request_id"`
		Model string `json:"model_version"`
	}
	if err := json.Unmarshal([]byte(body), &r); status != http.StatusOK || err != nil {
		s.Loop.Errorf("answer %d, %v: %s", status, err, body)
	}
	a.Id, a.Model = r.ID, r.Model
	return a, nil
}
