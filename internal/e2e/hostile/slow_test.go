package hostile_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"churn/internal/testing/programs"
)

// Slow clients. CHURN_SLOW=10000 CHURN_SLOW_ROUNDS=30 is the long run.

const (
	ordinary = 8                      // clients beside the slow ones
	round    = 500 * time.Millisecond // at least a thousand requests
)

// A slow has connections that send a byte a second: a third of them in the header, a third
// in a body, and a third request large files and read nothing.
type slow struct {
	conns   []net.Conn
	stop    chan struct{}
	writers sync.WaitGroup
}

// slowClients opens n connections; those after the first mixed ones send headers only.
func slowClients(t *testing.T, addr string, n, mixed int) *slow {
	t.Helper()
	s := &slow{stop: make(chan struct{})}
	begin := []string{
		"POST /predict HTTP/1.1\r\nHost: x.localhost\r\nX-Slow: ",
		"POST /predict HTTP/1.1\r\nHost: x.localhost\r\nContent-Length: 1000\r\n\r\n{",
		strings.Repeat("GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x.localhost\r\n\r\n", 20),
	}
	kind := func(i int) int {
		if i >= mixed {
			return 0
		}
		return i % 3
	}
	for i := range n {
		conn, err := (&net.Dialer{Timeout: programs.Patience}).Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if kind(i) == 2 {
			conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		s.conns = append(s.conns, conn)
		if _, err := io.WriteString(conn, begin[kind(i)]); err != nil {
			t.Fatal(err)
		}
	}
	s.writers.Go(func() { // a byte a second to each, spread over the second
		for tick := time.Tick(10 * time.Millisecond); ; {
			for part := range 100 {
				select {
				case <-s.stop:
					return
				case <-tick:
				}
				for i := part; i < len(s.conns); i += 100 {
					if kind(i) != 2 {
						s.conns[i].Write([]byte("x")) // an error means that it was cut off
					}
				}
			}
		}
	})
	return s
}

func (s *slow) close() {
	close(s.stop)
	s.writers.Wait()
	for _, conn := range s.conns {
		conn.Close()
	}
}

// p99 sends requests from the ordinary clients for a round, after half a round of warm-up,
// and returns the 99th percentile of the latencies in ms and the number of requests. All
// answers must be 200.
func (a *attack) p99() (ms float64, requests int) {
	a.Helper()
	begin := time.Now().Add(round / 2)
	end := begin.Add(round)
	var mu sync.Mutex
	var all []programs.Answer
	var wg sync.WaitGroup
	for range ordinary {
		wg.Go(func() {
			var mine []programs.Answer
			for time.Now().Before(end) && !a.Failed() {
				one, err := a.Predict()
				if err != nil {
					a.Error(err)
				} else if one.Received.After(begin) {
					mine = append(mine, one)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	wg.Wait()
	if len(all) == 0 {
		a.Fatal("no ordinary client was answered")
	}
	return programs.Percentiles(all)[1], len(all)
}

// testSlowClients compares the p99 of ordinary clients with and without a thousand slow
// clients, as medians of alternating rounds.
func testSlowClients(a *attack) {
	if programs.RaceDetector {
		a.Skip("it compares latencies, which the race detector changes: make test runs it")
	}
	many, rounds := programs.EnvCount(a.T, "CHURN_SLOW", 1000), programs.EnvCount(a.T, "CHURN_SLOW_ROUNDS", 11)
	a.begin()
	before := a.Descriptors() // the log is not open yet, and one client is connected
	alone := func() {
		a.Client.CloseIdleConnections()
		a.untilDescriptors("descriptors are closed", func(n int) bool { return n <= before })
	}
	a.p99() // warm
	alone()
	var without, with []float64
	requests := 0
	for range rounds {
		p, n := a.p99()
		without, requests = append(without, p), requests+n
		s := slowClients(a.T, a.Addr, many, many)
		a.untilDescriptors("all slow clients are connected", func(n int) bool { return n >= before+many })
		p, n = a.p99()
		with, requests = append(with, p), requests+n
		s.close()
		a.slow += many
	}
	slices.Sort(without)
	slices.Sort(with)
	median, slowed := without[rounds/2], with[rounds/2]
	a.Logf("p99 of %d clients: %.2f ms, beside %d slow ones %.2f ms, medians of %d rounds, %d requests, all 200",
		ordinary, median, many, slowed, rounds, requests)
	if slowed > 3*median {
		a.Errorf("p99 %.2f ms beside slow clients, %.2f ms without: more than 3 times", slowed, median)
	}
	alone()
}

// untilDescriptors waits for a number of descriptors of serve, where /proc has it.
func (a *attack) untilDescriptors(what string, ok func(int) bool) {
	a.Helper()
	var n int
	if !programs.Poll(3*programs.Patience, func() bool { n = a.Descriptors(); return n < 0 || ok(n) }) {
		a.Fatalf("%d descriptors, want: %s", n, what)
	}
}

// exhaustDescriptors starts another service on the folder with at most 200 descriptors, and
// more slow clients than that. The returned function waits until they are cut off: an
// earlier client is answered all the time, a later one after that.
func exhaustDescriptors(t *testing.T, bin, dir string) func(t *testing.T) {
	t.Helper()
	const limit, more, mixed = 200, 230, 170
	a := &attack{Loop: programs.EmptyLoop(t, bin)}
	a.Dir, a.Files, a.Client.Timeout = dir, limit, 2*programs.Patience
	a.Start()
	before := a.Descriptors()
	start := time.Now()
	s := slowClients(t, a.Addr, more, mixed)
	late := make(chan error, 1)
	go func() { // waits for a free descriptor
		client := &http.Client{Timeout: 3 * programs.Patience}
		_, _, err := programs.Request(client, "GET", a.URL("/health"), "", "")
		client.CloseIdleConnections()
		late <- err
	}()
	var stop atomic.Bool
	var answered int
	there := make(chan error, 1)
	go func() { // is already connected
		for !stop.Load() {
			if status, answer, err := a.Send("/health", ""); err != nil || status != http.StatusOK {
				there <- fmt.Errorf("%d %s, %w", status, answer, err)
				return
			}
			answered++
			time.Sleep(10 * time.Millisecond)
		}
		there <- nil
	}()
	return func(t *testing.T) {
		err := <-late
		waited := time.Since(start)
		if err != nil {
			t.Errorf("the later client: %v", err)
		}
		stop.Store(true)
		if err := <-there; err != nil {
			t.Errorf("the earlier client: %v", err)
		}
		a.T = t
		a.Client.CloseIdleConnections()
		a.untilDescriptors("the slow clients are cut off", func(n int) bool { return n < before })
		took := time.Since(start)
		s.close()
		a.end()
		t.Logf("%d slow clients where there are %d descriptors: cut off within %.0f s, a late client answered after %.0f "+
			"s, one that was there %d times meanwhile, descriptors given back",
			more, limit, took.Seconds(), waited.Seconds(), answered)
	}
}
