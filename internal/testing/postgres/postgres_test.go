//go:build unix

package postgres

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestClusterLastsAsLongAsItsTest(t *testing.T) {
	var dir string
	var pid int
	t.Run("cluster", func(t *testing.T) {
		c := Start(t)
		dir = c.dir
		database := c.CreateDatabase(t)
		c.Exec(t, database, `CREATE TABLE "A b" (x float8, y text)`)
		c.CopyCSV(t, database, "A b", "x,y\n1.5,é\n,\"\"\n")
		count := func(want int) {
			t.Helper()
			conn, err := pgx.Connect(t.Context(), c.URL(database))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.Background())
			var rows int
			if err := conn.QueryRow(t.Context(),
				`SELECT count(*) FROM "A b" WHERE x = 1.5 AND y = 'é' OR x IS NULL AND y = ''`).Scan(&rows); err != nil ||
				rows != want {
				t.Errorf("%d rows, %v; want %d", rows, err, want)
			}
		}
		count(2)
		c.Restart(t)
		count(2)
		c.Kill(t)
		if c.answers() {
			t.Error("a killed server answers")
		}
		c.Restart(t)
		count(2)
		pid = c.server.Process.Pid
	})
	if t.Failed() || dir == "" {
		return
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder still exists: %v", err)
	}
	if alive(pid) {
		t.Error("the server is still running")
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// A test at its time limit is killed without clean-up.
func TestClusterEndsWithItsProcess(t *testing.T) {
	if os.Getenv("CHURN_POSTGRES_SHARED") != "" {
		c := Shared(t)
		if Shared(t) != c {
			t.Error("Shared started two clusters")
		}
		fmt.Println("cluster", c.dir, c.server.Process.Pid)
		time.Sleep(time.Hour)
	}
	find(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestClusterEndsWithItsProcess$")
	cmd.Env = append(os.Environ(), "CHURN_POSTGRES_SHARED=yes")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	var pid int
	line, err := bufio.NewReader(stdout).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	if _, scanErr := fmt.Sscanf(line, "cluster %s %d", &dir, &pid); err != nil || scanErr != nil {
		t.Fatalf("%q, %v, %v", line, err, scanErr)
	}
	gone := func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err) && !alive(pid)
	}
	for deadline := time.Now().Add(patience); !gone(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v the server or its folder %s still exists", patience, dir)
		}
	}
}
