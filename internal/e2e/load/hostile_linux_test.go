package load_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

const (
	goodClients = 8                      // beside 248 hostile connections
	goodPause   = 40 * time.Millisecond  // between the requests of a good client
	goodWait    = 4 * time.Second        // in which a good request is answered, whatever is stuck
	goodP99     = 100 * time.Millisecond // of good requests while the log is not frozen
	burstEvery  = 10 * time.Second       // of large batches
	frozenFor   = 4 * time.Second        // the log, twice
	stopWithin  = 12 * time.Second       // from SIGTERM to the end
)

// A hostileMinute is a service in a memory cgroup, with hostile and good clients.
type hostileMinute struct {
	*programs.Loop
	ctx context.Context // of the hostile clients
	end time.Time

	frozen   atomic.Bool // the log, now or a moment ago
	stopping atomic.Bool

	mu      sync.Mutex
	answers []programs.Answer // 200 while nothing was frozen
	status  map[string]int    // by the id of a good request; 0: no answer, after SIGTERM
	hostile map[int]int       // answers to hostile requests by status
}

// TestHostileMinute sends hostile requests from 248 connections to a service with the memory
// of deploy's Deployment, while the log is frozen, rotated and compressed, and the model is
// switched. CHURN_HOSTILE=1m is the long run.
func TestHostileMinute(t *testing.T) {
	if programs.RaceDetector {
		t.Skip("the race detector needs several times the memory: make test runs it")
	}
	long := programs.EnvDuration(t, "CHURN_HOSTILE", 25*time.Second)
	bin := programs.Build(t)
	need.Program(t, "logrotate", "logrotate")
	need.Program(t, "flock", "util-linux")
	m := &hostileMinute{Loop: programs.NewLoop(t, bin), end: time.Now().Add(long),
		status: map[string]int{}, hostile: map[int]int{}}
	peak := limitMemory(m.Loop)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.ctx = ctx

	var good, bad sync.WaitGroup
	for k := range goodClients {
		good.Go(func() { m.good(k) })
	}
	m.startHostile(&bad)
	good.Go(m.freeze)
	good.Go(m.rotate)
	good.Go(m.switchModels)
	time.Sleep(time.Until(m.end))
	m.stopping.Store(true)
	begin := time.Now()
	if err := m.Serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	err := m.Serve.Wait()
	took, memory := time.Since(begin), peak()
	m.Serve = nil
	cancel()
	good.Wait()
	bad.Wait()
	if err != nil || took > stopWithin {
		t.Errorf("serve ended with %v %v after SIGTERM: %.2000s", err, took, programs.ReadFile(t, m.Stderr))
	}
	p := programs.Percentiles(m.answers)
	if p[1] > float64(goodP99.Milliseconds()) {
		t.Errorf("p99 of good requests is %.1f ms, over %v", p[1], goodP99)
	}
	answered, rejected := m.checkLogs()
	if answered < goodClients*100 || rejected == 0 {
		t.Errorf("%d good requests were answered and %d rejected: the test tried too little", answered, rejected)
	}
	t.Logf("%v in %d MiB: %d good requests answered and each logged once, %d rejected with 503 and not logged, "+
		"p50 %.1f, p99 %.1f ms while the log was not frozen; answers to hostile clients by status %v; peak %s; ended %.1f s "+
		"after SIGTERM", long, podMemory>>20, answered, rejected, p[0], p[1], m.hostile, memory, took.Seconds())
}

// good sends one request after the other and keeps what became of each.
func (m *hostileMinute) good(k int) {
	client := &http.Client{Timeout: goodWait, Transport: &http.Transport{}}
	for n := 0; !m.stopping.Load(); n++ {
		id := fmt.Sprintf("good-%d-%d", k, n)
		frozen := m.frozen.Load()
		a := programs.Answer{Sent: time.Now()}
		status, body, err := programs.Request(client, "POST", m.URL("/predict"), "application/json", programs.Customer(id))
		a.Received = time.Now()
		switch {
		case err != nil && !m.stopping.Load():
			m.Errorf("a good request has no answer after %v: %v", a.Received.Sub(a.Sent), err)
			return
		case err == nil && status != http.StatusOK && status != http.StatusServiceUnavailable:
			m.Errorf("a good request is answered with %d %s", status, body)
		}
		m.mu.Lock()
		m.status[id] = status
		if status == http.StatusOK && !frozen && !m.frozen.Load() {
			m.answers = append(m.answers, a)
		}
		m.mu.Unlock()
		time.Sleep(goodPause)
	}
}

// freeze holds the lock on the log, as a process that is stopped in the middle of a write does.
func (m *hostileMinute) freeze() {
	for m.pause(8 * time.Second) {
		m.frozen.Store(true)
		hold := exec.Command("flock", "-x", m.Path("logs/.predictions.log.lock"), "sleep", fmt.Sprint(frozenFor.Seconds()))
		if out, err := hold.CombinedOutput(); err != nil {
			m.Errorf("flock: %v: %s", err, out)
		}
		m.pause(2 * time.Second) // until what waited has been answered
		m.frozen.Store(false)
	}
}

// rotate moves the log away as RHEL's defaults do, and compresses it.
func (m *hostileMinute) rotate() {
	config := m.Path("logrotate.conf")
	text := fmt.Sprintf("%q {\n\tsu root root\n\trotate 1000\n\tdateext\n\tdateformat -%%Y%%m%%d-%%s\n\tcompress\n"+
		"\tdelaycompress\n\tmissingok\n}\n", m.Path("logs/predictions.log"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		m.Error(err)
	}
	for m.pause(3 * time.Second) {
		rotate := exec.Command("logrotate", "--force", "--state", config+".state", config)
		if out, err := rotate.CombinedOutput(); err != nil {
			m.Errorf("logrotate: %v: %s", err, out)
		}
	}
}

func (m *hostileMinute) switchModels() {
	models := m.Models()
	for i := 0; m.pause(2 * time.Second); i++ {
		m.Run("rollback", "--reason", "test", models[i%len(models)])
	}
}

// pause waits, and reports whether the test goes on.
func (m *hostileMinute) pause(d time.Duration) bool {
	time.Sleep(min(d, time.Until(m.end)))
	return time.Now().Before(m.end)
}

// startHostile starts the hostile clients: 248 connections, from addresses of their own.
func (m *hostileMinute) startHostile(group *sync.WaitGroup) {
	header := "request_id," + header
	text := func(c string) string { return strings.Repeat(c, 1000/len(c)) }
	csv := func(c string, rows int) string {
		return header + strings.Repeat(",6,3,21.5,"+text(c)+","+text(c)+"\n", rows)
	}
	objects := "[" + strings.Repeat(programs.GoodCustomer+",", 9_999) + programs.GoodCustomer + "]"
	plain := header + strings.Repeat(",6,3,21.5,basic,NA\n", 5_000)
	bodies := []struct{ path, media, body string }{
		{"/predict/batch", "text/csv", csv("\x01", 4_500)},
		{"/predict/batch", "text/csv", csv("\u2028", 4_500)},
		{"/predict/batch", "text/csv", csv(`\`, 4_500)},
		{"/predict/batch?explain=true", "application/json", objects},
		{"/predict/batch?explain=true", "application/json", objects},
		{"/predict/batch", "application/json", objects},
	}
	for k := range 24 {
		b := bodies[k%len(bodies)]
		group.Go(func() { m.bursts(k, b.path, b.media, b.body) })
	}
	var fields strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&fields, "X-%05d: %s\r\n", i, strings.Repeat("y", 20))
	}
	post := func(path, media, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			path, media, len(body), body)
	}
	for k := range 224 {
		sent := []string{
			"GET /predict HTTP/1.1\r\nHost: localhost\r\n" + fields.String(), // unfinished
			post("/predict/batch", "text/csv", plain),                        // the answer is not read
			post("/predict/batch", "text/csv", plain)[:20_000],               // unfinished
			post("/predict", "application/json", "[[[[[[\x00\xff"),
		}[k%4]
		group.Go(func() { m.holds(k, sent) })
	}
}

// bursts sends a large batch at the same time as others do, again and again.
func (m *hostileMinute) bursts(k int, path, media, body string) {
	transport := &http.Transport{DialContext: dialer(k).DialContext}
	client := &http.Client{Timeout: programs.Patience, Transport: transport}
	for m.ctx.Err() == nil {
		status, _, err := programs.Request(client, "POST", m.URL(path), media, body)
		if err == nil {
			m.mu.Lock()
			m.hostile[status]++
			m.mu.Unlock()
			if status >= 500 && status != http.StatusServiceUnavailable {
				m.Errorf("%s to a hostile client: %d", path, status)
			}
		}
		m.sleep(time.Until(time.Now().Truncate(burstEvery).Add(burstEvery)))
	}
}

// holds opens a connection, sends, reads nothing, and keeps it open for some seconds.
func (m *hostileMinute) holds(k int, text string) {
	rng := rand.New(rand.NewPCG(1, uint64(k)))
	for m.ctx.Err() == nil {
		conn, err := dialer(k).DialContext(m.ctx, "tcp", m.Addr)
		if err == nil {
			conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(conn, text) // an error means that it was cut off
			m.sleep(time.Duration(4+rng.IntN(12)) * time.Second)
			conn.Close()
		} else {
			m.sleep(time.Second)
		}
	}
}

// dialer connects from an address of its own, as clients on other machines do.
func dialer(k int) *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+k%16))}}
}

func (m *hostileMinute) sleep(d time.Duration) {
	select {
	case <-m.ctx.Done():
	case <-time.After(d):
	}
}

// checkLogs returns the numbers of good requests that were answered, each of which is in the logs
// once, and of those that were rejected, none of which is.
func (m *hostileMinute) checkLogs() (answered, rejected int) {
	m.Helper()
	counts := map[string]int{}
	parts, err := filepath.Glob(m.Path("logs/predictions.log*"))
	if err != nil {
		m.Fatal(err)
	}
	for _, part := range parts {
		text, err := os.ReadFile(part)
		if strings.HasSuffix(part, ".gz") && err == nil {
			var r *gzip.Reader
			if r, err = gzip.NewReader(bytes.NewReader(text)); err == nil {
				text, err = io.ReadAll(r)
			}
		}
		if err != nil {
			m.Fatal(err)
		}
		programs.CountRequests(m.T, counts, filepath.Base(part), string(text))
	}
	for id := range maps.Keys(m.status) {
		n := counts[id]
		switch m.status[id] {
		case http.StatusOK:
			answered++
			if n != 1 {
				m.Errorf("%s was answered and is in the logs %d times", id, n)
			}
		case http.StatusServiceUnavailable:
			rejected++
			if n != 0 {
				m.Errorf("%s was rejected and is in the logs %d times", id, n)
			}
		default:
			if n > 1 {
				m.Errorf("%s is in the logs %d times", id, n)
			}
		}
	}
	return answered, rejected
}
