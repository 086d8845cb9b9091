package predictor

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/predictor/apikey"

	"github.com/gofrs/flock"
)

// ask sends a request with headers, as "Name: value", and returns the answer and its body.
func (s *service) ask(method, path, body string, headers ...string) (*http.Response, string) {
	s.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	s.checkContract(answer, body, string(text))
	return answer, string(text)
}

func TestEachClientHasItsRate(t *testing.T) {
	keys, err := apikey.ReadKeys(writeKeys(t, "one\ntwo\n"))
	if err != nil {
		t.Fatal(err)
	}
	limits := usual
	limits.Rate = 3
	s := startWith(t, limits, func(p *Predictor) { p.Keys = keys })
	s.train(1)
	check := func(status int, headers ...string) {
		t.Helper()
		answer, text := s.ask("POST", "/predict", customer, headers...)
		if answer.StatusCode != status {
			t.Errorf("%q: %d %s, want %d", headers, answer.StatusCode, text, status)
		}
		if status == 429 && (answer.Header.Get("Retry-After") == "" ||
			text != `{"detail":"too many requests: try again after a while"}`+"\n") {
			t.Errorf("%q: Retry-After %q, %s", headers, answer.Header.Get("Retry-After"), text)
		}
	}
	for range 3 {
		check(200, "X-API-Key: one")
	}
	check(429, "X-API-Key: one")
	check(429, "Authorization: Bearer one")
	check(200, "X-API-Key: two")
	// Without a known key the address counts, whatever other headers say.
	for i := range 3 {
		check(401, fmt.Sprintf("X-API-Key: guess %d", i))
	}
	check(429, "X-API-Key: another guess", "X-Forwarded-For: 10.1.2.3", "X-Real-IP: 10.1.2.3", "Forwarded: for=10.1.2.3")
	for range 5 {
		s.expect("GET", "/health", "", 200, "")
	}
	m := s.metrics("X-API-Key: one")
	s.wantFamily(m, "churn_http_requests_total", map[string]float64{
		`{route="/predict",status="200"}`: 4, `{route="/predict",status="401"}`: 3, `{route="/predict",status="429"}`: 3,
		`{route="/health",status="200"}`: 5,
	})

	open := startWith(t, limits, func(*Predictor) {}) // without keys the address counts too
	open.train(1)
	for i := range 3 {
		answer, _ := open.ask("POST", "/predict", customer, fmt.Sprintf("X-API-Key: %d", i))
		if answer.StatusCode != 200 {
			t.Errorf("request %d: %d", i, answer.StatusCode)
		}
	}
	if answer, _ := open.ask("POST", "/predict", customer, "X-API-Key: 9"); answer.StatusCode != 429 {
		t.Errorf("without keys: %d after the rate, want 429", answer.StatusCode)
	}
}

// held is a request that is at work: what holds it up is the log, which another
// process has locked. letGo ends that; then it is answered.
func held(s *service, ask func() string) (letGo func() string) {
	s.Helper()
	lock := flock.New(filepath.Join(s.dir, "logs", ".predictions.log.lock"), flock.SetFlag(os.O_WRONLY))
	if err := lock.Lock(); err != nil {
		s.Fatal(err)
	}
	done := make(chan string, 1)
	go func() { done <- ask() }()
	eventually(s, "a request is at work", func() bool { return s.predictor.inFlight.Load() > 0 })
	return func() string {
		s.Helper()
		if err := lock.Unlock(); err != nil {
			s.Fatal(err)
		}
		return <-done
	}
}

func TestABusyServiceSaysSo(t *testing.T) {
	limits := usual
	limits.InFlight = 1
	s := startWith(t, limits, func(*Predictor) {})
	s.train(1)
	letGo := held(s, func() string {
		answer, _ := s.ask("POST", "/predict", customer)
		return answer.Status
	})
	busy := func(method, path, body, want string) {
		t.Helper()
		answer, text := s.ask(method, path, body)
		if answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "1" || text != want+"\n" {
			t.Errorf("%s %s: %d, Retry-After %q, %s", method, path, answer.StatusCode, answer.Header.Get("Retry-After"), text)
		}
	}
	busy("POST", "/predict", customer, `{"detail":"too many requests are in flight: try again"}`)
	busy("POST", "/v2/models/churn/infer", customer, `{"error":"too many requests are in flight: try again"}`)
	busy("POST", "/invocations", customer,
		`{"error_code":"TEMPORARILY_UNAVAILABLE","message":"too many requests are in flight: try again"}`)
	busy("GET", "/drift", "", `{"detail":"too many requests are in flight: try again"}`)
	s.expect("GET", "/health", "", 200, "")
	if s.metrics()[`churn_http_requests_total{route="/predict",status="503"}`] != 1 {
		t.Error("the refused request is not counted")
	}
	if status := letGo(); status != "200 OK" {
		t.Errorf("the request at work got %s", status)
	}
	s.expect("POST", "/predict", customer, 200, "")
	if n := s.predictor.inFlight.Load(); n != 0 {
		t.Errorf("%d requests at work when all are answered", n)
	}
}

// Clients that send their body slowly, or do not read their answer, take no place
// from others: there is one.
func TestSlowClientsTakeNoPlace(t *testing.T) {
	limits := usual
	limits.InFlight = 1
	s := startWith(t, limits, func(*Predictor) {})
	s.train(1)
	for range 20 {
		conn := s.dial()
		fmt.Fprintf(conn, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
		line, err := bufio.NewReader(conn).ReadString('\n') // the body is being read now
		if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	s.expect("POST", "/predict", customer, 200, "")

	// One that does not read its answer: a pipe holds nothing.
	theirs, ours := net.Pipe()
	server := &http.Server{Handler: s.handler}
	listener := &oneConn{Listener: must(net.Listen("tcp", "127.0.0.1:0"))(t), conn: make(chan net.Conn, 1)}
	listener.conn <- ours
	go server.Serve(listener)
	defer server.Close()
	defer theirs.Close()
	large := "[" + strings.TrimSuffix(strings.Repeat(customer+",", 900), ",") + "]"
	fmt.Fprintf(theirs, "POST /predict/batch HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(large), large)
	eventually(t, "the answer is logged", func() bool { return strings.Count(s.log(), "\n") == 901 })
	eventually(t, "there is a place", func() bool { return s.predictor.inFlight.Load() == 0 })
	s.expect("POST", "/predict", customer, 200, "")
	s.expect("GET", "/drift", "", 200, "")
	if answer, err := http.ReadResponse(bufio.NewReader(theirs), nil); err != nil || answer.StatusCode != 200 {
		t.Errorf("%v, %v", answer, err)
	}
}

// oneConn is a listener that accepts a connection of its own.
type oneConn struct {
	net.Listener
	conn chan net.Conn
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	default:
		return l.Listener.Accept()
	}
}

func must[T any](x T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// dial opens a connection, which the test's end closes before the service.
func (s *service) dial() net.Conn {
	s.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	return conn
}

// sendFirst sends n bytes before it looks for an answer, as most clients do, and returns
// its status; 0 for a broken connection. Some megabytes are more than the system keeps.
func (s *service) sendFirst(path string, n int) (status int) {
	conn := s.dial()
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, n,
		strings.Repeat(" ", n))
	answer, readErr := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || readErr != nil {
		return 0
	}
	return answer.StatusCode
}

// Large bodies are bounded together, in what has come of them and not in what is
// announced. Small ones always go through.
func TestLargeBodiesHaveRoomTogether(t *testing.T) {
	limits := usual
	limits.BatchBytes, limits.BatchRows, limits.Memory = 32<<20, 10_000, 1<<20
	s := startWith(t, limits, func(*Predictor) {})
	s.train(1)
	sent := "[" + strings.Repeat(" ", 200<<10)
	var slow []net.Conn
	open := func() net.Conn {
		conn := s.dial()
		fmt.Fprintf(conn, "POST /predict/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		slow = append(slow, conn)
		return conn
	}
	for range 50 { // who sends nothing takes nothing
		open()
	}
	large := "[" + customer + "," + strings.Repeat(" ", 200<<10) + customer + "]"
	s.expect("POST", "/predict/batch", large, 200, "")
	const each = 128 << 10 // bytes of such a body that count
	for i, conn := range slow[:limits.Memory/each] {
		fmt.Fprintf(conn, "%x\r\n%s\r\n", len(sent), sent)
		eventually(t, "the body counts", func() bool { return s.predictor.budget.Held() == int64(i+1)*each })
	}
	if answer, text := s.ask("POST", "/predict/batch", large); answer.StatusCode != 503 ||
		!strings.Contains(text, "try again") || answer.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %s where there is no room", answer.StatusCode, text)
	}
	if got := s.sendFirst("/predict/batch", int(limits.BatchBytes)); got != 503 {
		t.Errorf("a large body sent at once: %d where there is no room, want 503", got)
	}
	s.expect("POST", "/predict", customer, 200, "")
	s.expect("POST", "/predict/batch", "["+customer+"]", 200, "")
	for _, conn := range slow {
		conn.Close()
	}
	eventually(t, "there is room again", func() bool {
		answer, _ := s.ask("POST", "/predict/batch", large)
		return answer.StatusCode == 200
	})
	eventually(t, "all room is given back", func() bool { return s.predictor.budget.Held() == 0 })
}

// pack returns a text as gzip.
func pack(t testing.TB, text string) string {
	t.Helper()
	var packed strings.Builder
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

func TestPackedBodies(t *testing.T) {
	s := start(t)
	s.train(1)
	check := func(status int, path, coding, body, want string) {
		t.Helper()
		answer, text := s.ask("POST", path, body, "Content-Encoding: "+coding)
		accepted := answer.Header.Get("Accept-Encoding")
		if answer.StatusCode != status || !strings.Contains(text, want) || status == 415 && accepted != "gzip, identity" {
			t.Errorf("%s with Content-Encoding %s: %d %.200s, want %d %s", path, coding, answer.StatusCode, text, status, want)
		}
	}
	for _, path := range []string{"/predict", "/predict/batch", "/what-if", "/v2/models/churn/infer", "/invocations"} {
		for _, coding := range []string{"x-gzip", "deflate", "br", "zstd", "gzip, identity", "gzip, gzip", "bogus"} {
			check(415, path, coding, customer, "of all Content-Encodings gzip alone is read")
		}
	}
	packed := pack(t, customer)
	for _, coding := range []string{"gzip", "GZIP"} {
		check(200, "/predict", coding, packed, `"prediction":`)
		check(200, "/predict", coding, pack(t, "\ufeff"+customer), `"prediction":`)
		check(200, "/predict/batch", coding, pack(t, "["+customer+"]"), `"prediction":`)
		check(200, "/invocations", coding, pack(t, `{"dataframe_records":[`+customer+`]}`), `{"predictions":[`)
		check(422, "/predict", coding, customer, "not gzip: gzip: invalid header")
		check(422, "/predict", coding, "", "not gzip: EOF")
		check(422, "/predict", coding, packed[:len(packed)-9], "not gzip: unexpected EOF")
		check(422, "/predict", coding, packed[:len(packed)-8]+"12345678", "not gzip: gzip: invalid checksum")
		check(413, "/predict", coding, pack(t, strings.Repeat(" ", customerBytes)+customer),
			"the body has more than 1048576 bytes")
	}
	check(200, "/predict", "identity", customer, "")
	check(200, "/predict", "", customer, "")
	limits := usual
	limits.BatchBytes = 500 // less than the memory that a body begins with
	s = startWith(t, limits, func(*Predictor) {})
	s.train(1)
	check(200, "/predict/batch", "gzip", pack(t, "["+strings.Repeat(" ", 498)+"]"), "[]")
	check(413, "/predict/batch", "gzip", pack(t, "["+strings.Repeat(" ", 499)+"]"), "the body has more than 500 bytes")
}
