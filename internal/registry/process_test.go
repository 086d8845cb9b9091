package registry

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

func TestManyProcessesAtOnce(t *testing.T) {
	dir := t.TempDir()
	first := add(t, open(dir), "first", true)
	const workers, times = 8, 3
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			r := open(dir)
			for i := range times {
				add(t, r, fmt.Sprintf("w%d", w%2), true) // the same names as other goroutines
				if i%2 == 0 {
					r.Rollback(t.Context(), Rollback{}) // rejected if there is no model before
				} else if _, _, err := r.Rollback(t.Context(), Rollback{Target: first}); err != nil {
					t.Error(err)
				}
				if name, err := r.Current(); err != nil {
					t.Error(err)
				} else if _, err := r.ReadModel(name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	wantValid(t, dir)
	if entries, _ := open(dir).Entries(); len(entries) != 1+workers*times {
		t.Errorf("%d models, want %d", len(entries), 1+workers*times)
	}
}

// TestChild adds models and rolls back until it is killed, and prints a line for each change.
func TestChild(t *testing.T) {
	dir := os.Getenv("REGISTRY_TEST_DIR")
	if dir == "" {
		t.Skip("only as a child of TestKilledAtAnyMoment")
	}
	for i := 0; ; i++ {
		r := open(dir)
		add(t, r, "v", true)
		if i%2 == 1 {
			r.Rollback(t.Context(), Rollback{})
		}
		fmt.Println("done")
	}
}

func TestKilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	printed := 0
	for round := range 12 {
		child := exec.Command(os.Args[0], "-test.run=^TestChild$")
		child.Env = append(os.Environ(), "REGISTRY_TEST_DIR="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for range round%4 + 1 {
			if line, err := lines.ReadString('\n'); err != nil || line != "done\n" {
				t.Fatalf("the child printed %q, %v", line, err)
			}
			printed++
		}
		child.Process.Kill()
		rest, _ := io.ReadAll(lines)
		printed += strings.Count(string(rest), "done\n")
		child.Wait()
		add(t, open(dir), "after", true)
		wantValid(t, dir)
	}
	if entries, _ := open(dir).Entries(); len(entries) < printed {
		t.Errorf("%d models are registered, %d were added", len(entries), printed)
	}
}
