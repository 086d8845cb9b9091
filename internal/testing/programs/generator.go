package programs

import (
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A tally is what became of the requests of some clients.
type Tally struct {
	sync.Mutex
	Answered, Refused map[string]bool // by request_id: 200, and 503
	stop              bool
	done              sync.WaitGroup
}

// clamour asks from four sides, for single predictions and for batches, until the tally is stopped.
func (l *Loop) Clamour() *Tally {
	c := &Tally{Answered: map[string]bool{}, Refused: map[string]bool{}}
	for side := range 4 {
		c.done.Go(func() {
			for n := 0; ; n++ {
				path, body, ids := "/predict", "", []string{fmt.Sprintf("%d-%d", side, n)}
				if body = Customer(ids[0]); n%8 == 7 {
					path, ids = "/predict/batch", nil
					var rows []string
					for i := range 20 {
						ids = append(ids, fmt.Sprintf("%d-%d-%d", side, n, i))
						rows = append(rows, Customer(ids[i]))
					}
					body = "[" + strings.Join(rows, ",") + "]"
				}
				code, answer, err := l.Send(path, body)
				c.Lock()
				for _, id := range ids {
					switch {
					case code == http.StatusOK && strings.Contains(answer, `"request_id":"`+id+`"`):
						c.Answered[id] = true
					case code == http.StatusServiceUnavailable:
						c.Refused[id] = true
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
				time.Sleep(time.Millisecond) // a client's own pace: the disk is small
			}
		})
	}
	return c
}

func (c *Tally) Counts() (answered, refused int) {
	c.Lock()
	defer c.Unlock()
	return len(c.Answered), len(c.Refused)
}

// end stops the clients and returns what the tally came to.
func (c *Tally) End() (answered, refused int) {
	c.Lock()
	c.stop = true
	c.Unlock()
	c.done.Wait()
	return c.Counts()
}

// wantLogged wants all that was answered to be in one of the logs around the folder, once,
// nothing that was refused, and every line whole.
func (l *Loop) WantLogged(c *Tally) {
	l.Helper()
	found := map[string]int{}
	err := filepath.WalkDir(filepath.Dir(l.Dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), "predictions") {
			return err
		}
		CountRequests(l.T, found, path, ReadFile(l.T, path))
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	for id := range c.Answered {
		if found[id] != 1 {
			l.Errorf("%s was answered, and is in the log %d times", id, found[id])
		}
	}
	for id := range c.Refused {
		if found[id] != 0 {
			l.Errorf("%s was refused, and is in the log", id)
		}
	}
}
