package postgres

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/need"
)

// Pool starts a PgBouncer in front of the cluster until the test ends, with Debian's
// configuration but for its pool_mode, the place of its files and its port. It returns
// what URL does, for the pool. Without PgBouncer the test is skipped, or fails in CI.
func (c *Cluster) Pool(tb testing.TB, mode string) func(database string) string {
	tb.Helper()
	program := need.Program(tb, "pgbouncer", "pgbouncer")
	dir, err := os.MkdirTemp(c.dir, "pool") // in a folder that the server's user may enter
	need.NoError(tb, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	need.NoError(tb, err)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	_, server, _ := net.SplitHostPort(c.addr)
	users, conf := filepath.Join(dir, "userlist.txt"), filepath.Join(dir, "pgbouncer.ini")
	for path, text := range map[string]string{
		users: fmt.Sprintf("%q %q\n", User, Password),
		conf: fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%s\n[pgbouncer]\nlisten_addr = localhost\n"+
			"listen_port = %s\nunix_socket_dir =\nauth_type = md5\nauth_file = %s\npool_mode = %s\n", server, port, users, mode),
	} {
		need.NoError(tb, os.WriteFile(path, []byte(text), 0o644))
	}
	pool := exec.Command(program, conf)
	need.NoError(tb, runAsServer(pool, dir))
	need.NoError(tb, chown(dir))
	output := new(strings.Builder)
	pool.Stdout, pool.Stderr = output, output
	need.NoError(tb, pool.Start())
	ended := make(chan struct{})
	go func() { pool.Wait(); close(ended) }()
	tb.Cleanup(func() {
		pool.Process.Kill() // an error means that it has ended
		<-ended
	})
	url := func(database string) string { return strings.Replace(c.URL(database), c.addr, "127.0.0.1:"+port, 1) }
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := tryConnect(url("postgres"))
		if err == nil {
			return url
		}
		select {
		case <-ended:
			tb.Fatalf("PgBouncer ended: %s", output)
		default:
		}
		if time.Now().After(deadline) {
			tb.Fatalf("PgBouncer does not answer: %v", err)
		}
	}
}
