// Package postgres runs a PostgreSQL server for tests: a temporary cluster on a free port
// of 127.0.0.1, without durability.
package postgres

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"churn/internal/testing/need"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// User is the superuser of the cluster.
	User = "churn"
	// Password has characters that a URL must encode.
	Password = "p@ss:w%rd/7?#"

	patience = 30 * time.Second // limit of waits for what takes a second or two
)

// A Cluster is a PostgreSQL server and its data.
type Cluster struct {
	dir, bin string
	addr     string
	server   *exec.Cmd     // nil after Kill
	ended    chan struct{} // closed when server has ended
	reaper   *exec.Cmd
	reaperIn io.Closer // the reaper's standard input

	mu        sync.Mutex
	databases int
}

// Start starts a cluster until the test ends. Without PostgreSQL the test is skipped, or
// fails in CI.
func Start(tb testing.TB) *Cluster {
	tb.Helper()
	c := start(tb)
	tb.Cleanup(func() {
		c.reaperIn.Close()
		if err := c.reaper.Wait(); err != nil {
			tb.Errorf("PostgreSQL did not end: %v", err)
		}
	})
	return c
}

var (
	sharedMu sync.Mutex
	shared   *Cluster
)

// Shared returns one cluster for all tests of the process. It ends with the process, even
// if that is killed.
func Shared(tb testing.TB) *Cluster {
	tb.Helper()
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if shared == nil {
		shared = start(tb)
	}
	return shared
}

// reap stops the server and removes the folder $1 when its standard input is closed: by the
// test, or by the end of the test's process.
const reap = `cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid") && kill -INT "$pid" && {
	tries=0
	while [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 400 ]; do sleep 0.05; tries=$((tries + 1)); done
}
rm -rf "$1"`

func start(tb testing.TB) *Cluster {
	tb.Helper()
	bin := find(tb)
	dir, err := os.MkdirTemp("", "churn-postgres-") // not tb.TempDir, which the server's user may not enter
	need.NoError(tb, err)
	if err := chown(dir); err != nil {
		os.Remove(dir)
		tb.Fatal(err)
	}
	c := &Cluster{dir: dir, bin: bin}
	c.reaper = exec.Command("sh", "-c", reap, "reap", dir)
	detach(c.reaper)
	if c.reaperIn, err = c.reaper.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	if err := c.reaper.Start(); err != nil {
		os.Remove(dir)
		tb.Fatal(err)
	}
	started := false
	defer func() {
		if !started {
			c.reaperIn.Close()
			c.reaper.Wait()
		}
	}()
	passwords := filepath.Join(dir, "password")
	need.NoError(tb, os.WriteFile(passwords, []byte(Password), 0o644))
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--no-sync", "--pgdata", filepath.Join(dir, "data"),
		"--username", User,
		"--pwfile", passwords, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8")
	need.NoError(tb, runAsServer(initdb, dir))
	if out, err := initdb.CombinedOutput(); err != nil {
		tb.Fatalf("initdb: %v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	need.NoError(tb, err)
	c.addr = l.Addr().String()
	l.Close()
	c.run(tb)
	started = true
	return c
}

// find returns the folder of the programs of the newest PostgreSQL.
func find(tb testing.TB) string {
	tb.Helper()
	newest, bin := 0.0, ""
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	for _, program := range found {
		dir := filepath.Dir(program)
		if v, err := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64); err == nil && v > newest {
			newest, bin = v, dir
		}
	}
	if bin == "" {
		need.Missing(tb, "PostgreSQL in /usr/lib/postgresql: to run this test, apt-get install postgresql")
	}
	return bin
}

// run starts the server and waits until it answers.
func (c *Cluster) run(tb testing.TB) {
	tb.Helper()
	log, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	need.NoError(tb, err)
	defer log.Close() // the server has its own descriptor
	host, port, _ := net.SplitHostPort(c.addr)
	args := []string{"-D", filepath.Join(c.dir, "data"), "-p", port}
	for _, setting := range []string{
		"listen_addresses=" + host,
		"unix_socket_directories=",
		"fsync=off", "full_page_writes=off", "autovacuum=off",
		"shared_buffers=64MB", "dynamic_shared_memory_type=mmap", // a kill would leave it in /dev/shm otherwise
		"log_statement=all", "log_line_prefix=%a ",
	} {
		args = append(args, "-c", setting)
	}
	deadline := time.Now().Add(patience)
	for {
		server := exec.Command(filepath.Join(c.bin, "postgres"), args...)
		need.NoError(tb, runAsServer(server, c.dir))
		server.Stdout, server.Stderr = log, log
		before := len(c.Log(tb))
		need.NoError(tb, server.Start())
		c.server, c.ended = server, make(chan struct{})
		go func(ended chan struct{}) { server.Wait(); close(ended) }(c.ended)
		for c.running() && !c.answers() {
			if time.Now().After(deadline) {
				tb.Fatalf("PostgreSQL does not answer: %s", c.Log(tb))
			}
			time.Sleep(20 * time.Millisecond)
		}
		if c.running() {
			return
		}
		// Child processes of a killed server may take a moment to end.
		output := c.Log(tb)[before:]
		if !strings.Contains(output, "pre-existing shared memory block") || time.Now().After(deadline) {
			tb.Fatalf("PostgreSQL does not start: %s", output)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *Cluster) running() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

func (c *Cluster) answers() bool { return tryConnect(c.URL("postgres")) == nil }

func tryConnect(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, url)
	if err == nil {
		conn.Close(ctx)
	}
	return err
}

// URL returns the connection string of a database, with user and password.
func (c *Cluster) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(User, Password), Host: c.addr, Path: "/" + database,
		RawQuery: "sslmode=disable"}
	return u.String()
}

// Addr returns host and port.
func (c *Cluster) Addr() string { return c.addr }

// Log returns the server's log, which has every statement.
func (c *Cluster) Log(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(c.logPath())
	need.NoError(tb, err)
	return string(text)
}

func (c *Cluster) logPath() string { return filepath.Join(c.dir, "log") }

// CreateDatabase creates an empty database and returns its name.
func (c *Cluster) CreateDatabase(tb testing.TB) string {
	tb.Helper()
	c.mu.Lock()
	c.databases++
	name := fmt.Sprintf("test%d", c.databases)
	c.mu.Unlock()
	c.Exec(tb, "postgres", "CREATE DATABASE "+name)
	return name
}

// Exec runs statements in a database.
func (c *Cluster) Exec(tb testing.TB, database, sql string) {
	tb.Helper()
	c.connected(tb, database, func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, sql).ReadAll()
		return err
	})
}

// CopyCSV appends the rows of a CSV text with a header to a table. The columns are in the
// table's order; an empty cell is NULL.
func (c *Cluster) CopyCSV(tb testing.TB, database, table, csv string) {
	tb.Helper()
	c.Copy(tb, database, table, strings.NewReader(csv))
}

// Copy is CopyCSV for a reader.
func (c *Cluster) Copy(tb testing.TB, database, table string, csv io.Reader) {
	tb.Helper()
	c.connected(tb, database, func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.CopyFrom(ctx, csv, "COPY "+pgx.Identifier{table}.Sanitize()+" FROM STDIN (FORMAT csv, HEADER)")
		return err
	})
}

func (c *Cluster) connected(tb testing.TB, database string, do func(context.Context, *pgconn.PgConn) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // ten million rows
	defer cancel()
	conn, err := pgconn.Connect(ctx, c.URL(database))
	need.NoError(tb, err)
	defer conn.Close(ctx)
	need.NoError(tb, do(ctx, conn))
}

// Restart stops the server, if it is running, by a fast shutdown, which closes all
// connections, and starts it at the same address.
func (c *Cluster) Restart(tb testing.TB) {
	tb.Helper()
	if c.server != nil {
		c.server.Process.Signal(os.Interrupt) // an error means that it has ended
		c.wait(tb)
	}
	c.run(tb)
}

// Kill ends the server as a crash would; committed data is there after Restart.
func (c *Cluster) Kill(tb testing.TB) {
	tb.Helper()
	pid := c.server.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // without /proc they end by themselves
	c.server.Process.Kill()
	c.wait(tb)
	for child := range bytes.FieldsSeq(children) {
		if n, err := strconv.Atoi(string(child)); err == nil {
			if p, err := os.FindProcess(n); err == nil {
				p.Kill()
			}
		}
	}
	c.server = nil
}

func (c *Cluster) wait(tb testing.TB) {
	tb.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		tb.Fatalf("PostgreSQL does not end: %s", c.Log(tb))
	}
}
