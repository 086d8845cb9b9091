package load_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/programs"

	"golang.org/x/sys/unix"
)

// podMemory is the limit of deploy's Deployment, in bytes.
const podMemory = 512 << 20

// A greedy sends requests that need much memory, and counts the statuses; 0 is a connection
// that was closed instead.
type greedy struct {
	*programs.Loop
	client   *http.Client
	conns    []net.Conn // that are still open
	mu       sync.Mutex
	statuses map[int]int
}

// TestMemory sends serve, with the memory of deploy's pod, what needs more: each request ends
// in an answer or a closed connection, serve is not killed, and clients beside are answered
// as ever.
func TestMemory(t *testing.T) {
	if programs.RaceDetector {
		t.Skip("the race detector needs several times the memory: make test runs it")
	}
	g := &greedy{Loop: programs.NewLoop(t, programs.Build(t)), client: &http.Client{Timeout: 3 * programs.Patience}}
	peak := limitMemory(g.Loop)
	var stop atomic.Bool
	done := make(chan []programs.Answer)
	beside := programs.Load{Services: []*programs.Service{g.Service}, Interval: 50 * time.Millisecond}
	time.AfterFunc(time.Second, func() { stop.Store(true) })
	alone := typicalP99(beside.Run(&stop))
	stop.Store(false)
	go func() { done <- beside.Run(&stop) }()
	good := strings.TrimSuffix(strings.Repeat("6,3,21.5,basic,NA\n", 10_000), "\n")
	rows := "[" + strings.TrimSuffix(strings.Repeat(programs.GoodCustomer+",", 10_000), ",") + "]"
	text := func(cell string) string {
		return header + strings.Repeat("6,3,21.5,"+strings.Repeat(cell, 1000/len(cell))+",basic\n", 8000)
	}
	for _, a := range []struct {
		name string
		want []int // statuses that must be among the answers
		send func()
	}{
		{"control characters", []int{422}, func() { g.batch("text/csv", text("\x01"), "", 2) }},
		{"texts that grow in the log", nil, func() { g.batch("text/csv", text("\u00ad"), "", 6) }},
		{"explanations", []int{200, 503}, func() { g.batch("application/json", rows, "?explain=true", 24) }},
		{"batches one after another", []int{200}, func() {
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
				g.batch("application/json", rows, "", 12)
			}
		}},
		{"small bodies of many rows", []int{200, 503}, func() { g.batch("text/csv", header+good, "", 32) }},
		{"names without end", []int{422}, func() { g.batch("application/json", names(1<<20), "", 12) }},
		{"cells without end", []int{422}, func() { g.batch("text/csv", strings.Repeat(",", 8<<20), "", 12) }},
		{"a long list that nobody reads", []int{200, 503}, g.list},
		{"answers that nobody reads", nil, func() { g.unread(header + good) }},
		{"headers without end", nil, func() { g.headers() }},
	} {
		start := time.Now()
		g.statuses = map[int]int{}
		a.send()
		for _, status := range a.want {
			if g.statuses[status] == 0 {
				t.Errorf("%s: statuses %v, want %d among them", a.name, g.statuses, status)
			}
		}
		for status := range g.statuses {
			if status != 0 && status != 200 && status != 503 && status/100 != 4 {
				t.Errorf("%s: statuses %v", a.name, g.statuses)
			}
		}
		t.Logf("%s: statuses %v in %.1f s", a.name, g.statuses, time.Since(start).Seconds())
	}
	stop.Store(true)
	answers := <-done
	p99 := typicalP99(answers)
	t.Logf("%d predictions beside, p99 %.1f ms, alone %.1f ms; peak %s", len(answers), p99, alone, peak())
	const most = 500 // ms; below 100 on a machine that runs nothing else
	if p99 > most {
		t.Errorf("p99 of clients beside is %.1f ms, want at most %d", p99, most)
	}
	for _, conn := range g.conns {
		conn.Close()
	}
	g.Stop()
}

const header = "tenure_months,num_complaints,avg_session_minutes,plan_type,region\n"

// names is a JSON array of one object with many names.
func names(bytes int) string {
	var b strings.Builder
	b.WriteString(`[{"x":{"0":0`)
	for i := 1; b.Len() < bytes; i++ {
		fmt.Fprintf(&b, `,"%x":0`, i)
	}
	return b.String() + "}}]"
}

// limitMemory starts the service in a cgroup of podMemory bytes, or without the right to make
// one with as much address space, and returns what reports the peak.
func limitMemory(l *programs.Loop) (peak func() string) {
	l.Helper()
	for _, at := range []struct{ dir, limit, peak string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"},
		{"/sys/fs/cgroup", "memory.max", "memory.peak"},
	} {
		dir := filepath.Join(at.dir, fmt.Sprintf("churn-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		l.Cleanup(func() { // once serve has ended
			if !programs.Poll(programs.Patience, func() bool { return syscall.Rmdir(dir) == nil }) {
				l.Errorf("%s cannot be removed", dir)
			}
		})
		if os.WriteFile(filepath.Join(dir, at.limit), []byte(strconv.Itoa(podMemory)), 0) != nil {
			continue
		}
		l.Service = l.NewService() // ends before the group is removed
		l.Group = filepath.Join(dir, "cgroup.procs")
		l.Start()
		return func() string { return "of the cgroup: " + programs.ReadFile(l.T, filepath.Join(dir, at.peak)) }
	}
	l.Log("NO CGROUP: the limit is one of the address space, and serve cannot find it by itself")
	l.Start("--memory", strconv.Itoa(podMemory/4*3))
	size, err := l.Memory("VmSize")
	if err != nil {
		l.Fatal(err)
	}
	limit := unix.Rlimit{Cur: uint64(size + podMemory), Max: uint64(size + podMemory)}
	if err := unix.Prlimit(l.Serve.Process.Pid, unix.RLIMIT_AS, &limit, nil); err != nil {
		l.Fatal(err)
	}
	return func() string { n, err := l.Memory("VmHWM"); return fmt.Sprint(n, err) }
}

func (g *greedy) count(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.statuses[status]++
}

// batch sends a batch from a number of clients at once.
func (g *greedy) batch(media, body, query string, clients int) {
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			r, err := http.NewRequest("POST", g.URL("/predict/batch"+query), strings.NewReader(body))
			if err != nil {
				g.Error(err)
				return
			}
			r.Header.Set("Content-Type", media)
			answer, err := g.client.Do(r)
			if err != nil {
				g.count(0)
				return
			}
			defer answer.Body.Close()
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				g.Errorf("status %d: %v", answer.StatusCode, err)
			}
			g.count(answer.StatusCode)
		})
	}
	wg.Wait()
}

// connect opens connections that send a text and read at most the status.
func (g *greedy) connect(n int, text string, read bool) {
	g.Helper()
	for range n {
		conn, err := net.Dial("tcp", g.Addr)
		if err != nil {
			g.Fatal(err)
		}
		g.conns = append(g.conns, conn)
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		conn.SetDeadline(time.Now().Add(programs.Patience))
		io.WriteString(conn, text) // an error means that it was closed
		if !read {
			continue
		}
		line := make([]byte, len("HTTP/1.1 200"))
		io.ReadFull(conn, line)
		status, _ := strconv.Atoi(string(bytes.TrimSpace(line[len(line)-3:])))
		g.count(status)
	}
}

// unread sends batches and reads a few bytes of each answer.
func (g *greedy) unread(body string) {
	g.connect(150, fmt.Sprintf("POST /predict/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(body), body), true)
}

// list requests the list of some thousand models, and reads a few bytes of each answer.
func (g *greedy) list() {
	path := g.Path("registry/metadata.json")
	var models []map[string]any
	if err := json.Unmarshal([]byte(programs.ReadFile(g.T, path)), &models); err != nil {
		g.Fatal(err)
	}
	for i := range 5000 {
		model := maps.Clone(models[0])
		model["model_file"] = fmt.Sprintf("churn_model_v1_20200101_%06d.json", i)
		models = append(models, model)
	}
	text, err := json.Marshal(models)
	if err != nil {
		g.Fatal(err)
	}
	programs.WriteFile(g.T, path, string(text))
	g.connect(200, "GET /models HTTP/1.1\r\nHost: localhost\r\n\r\n", true)
}

// headers sends requests whose header does not end.
func (g *greedy) headers() {
	var h strings.Builder
	h.WriteString("GET /predict HTTP/1.1\r\nHost: localhost\r\n")
	for i := 0; h.Len() < 8000; i++ {
		fmt.Fprintf(&h, "%x:\n", i)
	}
	g.connect(6000, h.String(), false) // without a limit of connections serve is killed
	g.connect(500, h.String()+strings.Repeat("x", 32<<10), false)
}
