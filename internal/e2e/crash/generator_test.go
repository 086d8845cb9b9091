package crash_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"churn/internal/testing/programs"
)

// A loadGenerator sends requests until it is stopped, and records their statuses.
type loadGenerator struct {
	sync.Mutex
	answered, rejected map[string]bool // by request_id: 200, and 503
	reason             string          // of the last 503
	stop               bool
	done               sync.WaitGroup
}

// generateLoad sends single predictions and batches from four clients.
func generateLoad(l *programs.Loop) *loadGenerator {
	c := &loadGenerator{answered: map[string]bool{}, rejected: map[string]bool{}}
	for client := range 4 {
		c.done.Go(func() {
			for n := 0; ; n++ {
				path, body, ids := "/predict", "", []string{fmt.Sprintf("%d-%d", client, n)}
				if body = programs.Customer(ids[0]); n%8 == 7 {
					path, ids = "/predict/batch", nil
					var rows []string
					for i := range 20 {
						ids = append(ids, fmt.Sprintf("%d-%d-%d", client, n, i))
						rows = append(rows, programs.Customer(ids[i]))
					}
					body = "[" + strings.Join(rows, ",") + "]"
				}
				code, answer, err := l.Send(path, body)
				c.Lock()
				for _, id := range ids {
					switch {
					case code == http.StatusOK && strings.Contains(answer, `"request_id":"`+id+`"`):
						c.answered[id] = true
					case code == http.StatusServiceUnavailable:
						c.rejected[id], c.reason = true, answer
					default:
						l.Errorf("%s: %d %s, %v", path, code, answer, err)
						c.stop = true
					}
				}
				stop := c.stop
				c.Unlock()
				if stop {
					return
				}
				time.Sleep(time.Millisecond) // the disk is small
			}
		})
	}
	return c
}

func (c *loadGenerator) counts() (answered, rejected int) {
	c.Lock()
	defer c.Unlock()
	return len(c.answered), len(c.rejected)
}

// lastReason returns the last answer with 503.
func (c *loadGenerator) lastReason() string {
	c.Lock()
	defer c.Unlock()
	return c.reason
}

// end stops the clients and returns the counts.
func (c *loadGenerator) end() (answered, rejected int) {
	c.Lock()
	c.stop = true
	c.Unlock()
	c.done.Wait()
	return c.counts()
}

// wantLogged checks that each answered request is in the logs around the folder once, no
// rejected one is, and every line is complete.
func (c *loadGenerator) wantLogged(l *programs.Loop) {
	l.Helper()
	found := map[string]int{}
	err := filepath.WalkDir(filepath.Dir(l.Dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), "predictions") {
			return err
		}
		programs.CountRequests(l.T, found, path, programs.ReadFile(l.T, path))
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	for id := range c.answered {
		if found[id] != 1 {
			l.Errorf("%s was answered and logged %d times", id, found[id])
		}
	}
	for id := range c.rejected {
		if found[id] != 0 {
			l.Errorf("%s was rejected but logged", id)
		}
	}
}
