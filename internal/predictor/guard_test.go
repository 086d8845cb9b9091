package predictor

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gofrs/flock"
)

// writeKeys makes a file of keys, and returns its path.
func writeKeys(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

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
	return answer, string(text)
}

func TestOnlyKnownKeysMayAsk(t *testing.T) {
	path := writeKeys(t, "# the team\nfirst-key\r\n\n  second-key  \n#third-key\n")
	keys, err := ReadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, usual, func(p *Predictor) { p.Keys = keys })
	s.train(1)
	check := func(status int, path string, headers ...string) {
		t.Helper()
		method, body := "GET", ""
		if strings.HasPrefix(path, "/predict") {
			method, body = "POST", customer
		}
		answer, text := s.ask(method, path, body, headers...)
		if answer.StatusCode != status {
			t.Errorf("%s %s %q: %d %s, want %d", method, path, headers, answer.StatusCode, text, status)
		}
		if challenge := answer.Header.Get("WWW-Authenticate"); (status == 401) != (challenge == `Bearer realm="churn"`) {
			t.Errorf("%s %s %q: WWW-Authenticate %q", method, path, headers, challenge)
		}
		if status == 401 && text != `{"detail":"a known API key is needed, as Authorization: Bearer KEY or as X-API-Key: KEY"}`+"\n" {
			t.Errorf("%s %s %q: %s", method, path, headers, text)
		}
	}
	check(200, "/predict", "X-API-Key: first-key")
	check(200, "/predict", "X-API-Key: second-key")
	check(200, "/predict", "Authorization: Bearer first-key")
	check(200, "/predict", "Authorization: bearer  second-key")
	check(200, "/metrics", "X-API-Key: first-key")
	check(401, "/predict")
	check(401, "/predict", "X-API-Key: ")
	check(401, "/predict", "X-API-Key: first-ke")
	check(401, "/predict", "X-API-Key: first-key2")
	check(401, "/predict", "X-API-Key: FIRST-KEY")
	check(401, "/predict", "X-API-Key: third-key")
	check(401, "/predict", "X-API-Key: # the team")
	check(401, "/predict", "Authorization: Basic first-key")
	check(401, "/predict", "Authorization: Bearer")
	check(401, "/predict?api_key=first-key")
	check(401, "/predict/batch")
	check(401, "/metrics")
	check(401, "/models/current")
	check(401, "/v2/models/churn")
	check(401, "/a/path/that/comes/later")
	check(401, "/docsx")
	check(401, "/health/../predict")
	check(401, "//predict")
	check(401, "/%70redict")
	check(200, "/health")
	check(404, "/docs/nothing")
	s.wantFamily(s.metrics("X-API-Key: first-key"), "churn_http_requests_total", map[string]float64{
		`{route="/predict",status="200"}`: 4, `{route="/predict",status="401"}`: 10, `{route="/predict/batch",status="401"}`: 1,
		`{route="/metrics",status="200"}`: 1, `{route="/metrics",status="401"}`: 1, `{route="/health",status="200"}`: 1,
		`{route="/models/current",status="401"}`: 1, `{route="/docs/{file}",status="404"}`: 1, `{route="(none)",status="401"}`: 5, `{route="/v2/models/{name}",status="401"}`: 1,
	})

	// Rereading: the new keys count at once, and a broken file changes nothing.
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("third-key\n")
	if err := keys.Reread(); err != nil {
		t.Fatal(err)
	}
	check(401, "/predict", "X-API-Key: first-key")
	check(200, "/predict", "X-API-Key: third-key")
	write("# nobody\n")
	if err := keys.Reread(); err == nil || !strings.HasSuffix(err.Error(), "keys: there is no key in it") {
		t.Errorf("a file without keys: %v", err)
	}
	write("fourth-key\nwith a blank\n")
	if err := keys.Reread(); err == nil || !strings.HasSuffix(err.Error(), "keys:2: a key is printable ASCII without blanks") {
		t.Errorf("a key with a blank: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := keys.Reread(); err == nil {
		t.Error("no file, and no error")
	}
	check(200, "/predict", "X-API-Key: third-key")
	check(401, "/predict", "X-API-Key: fourth-key")
	if _, err := ReadKeys(path); err == nil {
		t.Error("ReadKeys of no file: no error")
	}
}

func TestEachClientHasItsRate(t *testing.T) {
	keys, err := ReadKeys(writeKeys(t, "one\ntwo\n"))
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
		if status == 429 && (answer.Header.Get("Retry-After") == "" || text != `{"detail":"too many requests: try again after a while"}`+"\n") {
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
		`{route="/predict",status="200"}`: 4, `{route="/predict",status="401"}`: 3, `{route="/predict",status="429"}`: 3, `{route="/health",status="200"}`: 5,
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
	lock := flock.New(filepath.Join(s.dir, "logs", "predictions.log"), flock.SetFlag(os.O_RDWR))
	if err := lock.Lock(); err != nil {
		s.Fatal(err)
	}
	done := make(chan string, 1)
	go func() { done <- ask() }()
	eventually(s, "a request is at work", func() bool { return s.predictor.working.Load() > 0 })
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
	busy("POST", "/predict", customer, `{"detail":"too many requests are under way: try again"}`)
	busy("POST", "/v2/models/churn/infer", customer, `{"error":"too many requests are under way: try again"}`)
	busy("POST", "/invocations", customer, `{"error_code":"TEMPORARILY_UNAVAILABLE","message":"too many requests are under way: try again"}`)
	busy("GET", "/drift", "", `{"detail":"too many requests are under way: try again"}`)
	s.expect("GET", "/health", "", 200, "")
	if s.metrics()[`churn_http_requests_total{route="/predict",status="503"}`] != 1 {
		t.Error("the refused request is not counted")
	}
	if status := letGo(); status != "200 OK" {
		t.Errorf("the request at work got %s", status)
	}
	s.expect("POST", "/predict", customer, 200, "")
	if n := s.predictor.working.Load(); n != 0 {
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
	eventually(t, "there is a place", func() bool { return s.predictor.working.Load() == 0 })
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

// Large bodies are bounded together, in what has come of them and not in what is
// announced. Small ones always go through.
func TestLargeBodiesHaveRoomTogether(t *testing.T) {
	limits := usual
	limits.BatchBytes, limits.BatchRows = 256<<10, 10_000
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
	for _, conn := range slow {
		go fmt.Fprintf(conn, "%x\r\n%s\r\n", len(sent), sent)
	}
	eventually(t, "large bodies find no room", func() bool {
		answer, text := s.ask("POST", "/predict/batch", large)
		return answer.StatusCode == 503 && strings.Contains(text, "try again") && answer.Header.Get("Retry-After") == "1"
	})
	s.expect("POST", "/predict", customer, 200, "")
	s.expect("POST", "/predict/batch", "["+customer+"]", 200, "")
	for _, conn := range slow {
		conn.Close()
	}
	eventually(t, "there is room again", func() bool {
		answer, _ := s.ask("POST", "/predict/batch", large)
		return answer.StatusCode == 200
	})
	eventually(t, "all room is given back", func() bool { return s.predictor.bodies.Load() == 0 })
}

func TestPackedBodiesAreRefused(t *testing.T) {
	s := start(t)
	s.train(1)
	check := func(status int, path, coding string) {
		t.Helper()
		answer, text := s.ask("POST", path, customer, "Content-Encoding: "+coding)
		if answer.StatusCode != status || status == 415 && (!strings.Contains(text, "a Content-Encoding is not read, send the body as it is") || answer.Header.Get("Accept-Encoding") != "identity") {
			t.Errorf("%s with Content-Encoding %s: %d %s, want %d", path, coding, answer.StatusCode, text, status)
		}
	}
	for _, path := range []string{"/predict", "/predict/batch", "/what-if", "/v2/models/churn/infer", "/invocations"} {
		for _, coding := range []string{"gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "gzip, identity", "bogus"} {
			check(415, path, coding)
		}
	}
	check(200, "/predict", "identity")
	check(200, "/predict", "")
}

// However many keys somebody tries, few a minute get an answer, and the right one
// none either. Others go on, behind the same address too.
func TestGuessingKeysIsLimited(t *testing.T) {
	keys, err := ReadKeys(writeKeys(t, "one\ntwo\nthree\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, usual, func(p *Predictor) { p.Keys = keys })
	s.train(1)
	from := func(address string, status int, headers ...string) {
		t.Helper()
		r := httptest.NewRequest("POST", "/predict", strings.NewReader(customer))
		r.RemoteAddr = address + ":4711"
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s %q: %d %s, want %d", address, headers, w.Code, w.Body, status)
		}
		if status == 429 && (w.Header().Get("Retry-After") != "60" || w.Body.String() != `{"detail":"too many unknown API keys came from this address: try again after a minute"}`+"\n") {
			t.Errorf("%s %q: Retry-After %q, %s", address, headers, w.Header().Get("Retry-After"), w.Body)
		}
	}
	const attacked, other = "192.0.2.1", "192.0.2.2"
	from(attacked, 200, "X-API-Key: one")
	for range 2 * maxGuesses {
		from(attacked, 401) // no guess
	}
	for i := range maxGuesses {
		from(attacked, 401, fmt.Sprintf("X-API-Key: guess %d", i))
	}
	from(attacked, 429, "X-API-Key: another guess")
	from(attacked, 429, "Authorization: Bearer another", "X-Forwarded-For: 10.1.2.3", "Forwarded: for=10.1.2.3")
	from(attacked, 429, "X-API-Key: two") // right, and it is not told
	from(attacked, 200, "X-API-Key: one") // had asked before
	from(attacked, 401)
	from(other, 200, "X-API-Key: two")
	from(other, 401, "X-API-Key: wrong")
	for i := range maxGuesses { // one network of IPv6 is one address
		from(fmt.Sprintf("[2001:db8::%x]", i+1), 401, "X-API-Key: guess")
	}
	from("[2001:db8::ffff]", 429, "X-API-Key: guess")
	from("[2001:db8:1::1]", 401, "X-API-Key: guess")
}

// That keys are compared in constant time is seen in the code: known, the one
// place where they are, compares sums of all keys with package subtle, and leaves
// its loop nowhere.
func TestKeysAreComparedInConstantTime(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "keys.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != "known" {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				called[fmt.Sprint(exprText(n.Fun))] = true
			case *ast.RangeStmt:
				ast.Inspect(n.Body, func(n ast.Node) bool {
					switch n.(type) {
					case *ast.IfStmt, *ast.SwitchStmt, *ast.BranchStmt, *ast.ReturnStmt:
						t.Errorf("known does one thing or another by the key, in %T", n)
					}
					return true
				})
			}
			return true
		})
	}
	for _, want := range []string{"sha256.Sum256", "subtle.ConstantTimeCompare", "subtle.ConstantTimeSelect"} {
		if !called[want] {
			t.Errorf("known does not call %s, but %v", want, called)
		}
	}
	if len(called) > 8 {
		t.Errorf("known calls %v: is it the comparison still?", called)
	}
	if kind := reflect.TypeOf(key{}.sum).Kind(); kind != reflect.Array {
		t.Errorf("a key is kept as %v, not as its sum", kind)
	}
}

// exprText is the name of a function that is called.
func exprText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return exprText(e.X) + "." + e.Sel.Name
	}
	return ""
}
