package predictor

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"churn/internal/registry"
)

func TestTheModelIsFollowed(t *testing.T) {
	s := start(t)
	s.expect("GET", "/health", "", 503, `{"status":"error","detail":"`)
	s.expect("POST", "/predict", customer, 503, `{"detail":"no usable model`)

	first := s.train(1)
	s.expect("GET", "/health", "", 200, `{"status":"ok","current_model":"`+first+`"`)
	second := s.train(2)
	s.expect("POST", "/predict", customer, 200, `"model_version":"`+second+`"`)

	if _, _, err := s.reg.Rollback(t.Context(), registry.Rollback{}); err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.expect("POST", "/predict", customer, 200, `"model_version":"`+first+`"`)
}

// A pointer that changes while a model is loaded is followed by the next request too.
func TestAChangeDuringALoadIsFollowed(t *testing.T) {
	var first, second string
	var s *service
	s = startWith(t, usual, func(p *Predictor) {
		p.follower.logger = slog.New(slog.NewTextHandler(eventWriter(func(event string) {
			if second != "" && strings.Contains(event, "model loaded") && strings.Contains(event, second) {
				if err := os.WriteFile(filepath.Join(s.dir, "registry", "current_model.txt"), []byte(first), 0o644); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * checkEvery) // as if the model were large
			}
		}), nil))
	})
	first = s.train(1)
	s.expect("GET", "/health", "", 200, first)
	second = s.train(2)
	for _, want := range []string{second, first} {
		if got := s.predictor.follower.current().name; got != want {
			t.Errorf("%s is served, want %s", got, want)
		}
	}
}

// eventWriter is called with each event.
type eventWriter func(event string)

func (f eventWriter) Write(b []byte) (int, error) {
	f(string(b))
	return len(b), nil
}

func TestABrokenModelIsRefusedAndTheLastGoodOneGoesOn(t *testing.T) {
	s := start(t)
	good := s.train(1)
	s.expect("GET", "/health", "", 200, good)
	pointer := filepath.Join(s.dir, "registry", "current_model.txt")
	point := func(name string) {
		t.Helper()
		if err := os.WriteFile(pointer, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		s.settle()
	}
	broken := filepath.Join(s.dir, "models", "broken.json")
	if err := os.WriteFile(broken, []byte(`{"format":9}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, why := range map[string]string{
		"broken.json":      "model format 9, this program reads formats 1 to 2",
		"absent.json":      "is missing",
		"../../etc/passwd": "is not the file name of a model",
		"":                 "it is empty",
	} {
		point(name)
		s.expect("POST", "/predict", customer, 200, `"model_version":"`+good+`"`)
		s.expect("GET", "/health", "", 200, why)
		if answer := s.expect("GET", "/health", "", 200, `"current_model":"`+good+`"`); strings.Contains(answer, s.dir) {
			t.Errorf("%s: the answer reveals where the service keeps its files", answer)
		}
	}
	point(good)
	s.expect("GET", "/health", "", 200, `{"status":"ok","current_model":"`+good+`"`)

	// A model that arrives after its pointer is taken up by itself.
	b, err := os.ReadFile(filepath.Join(s.dir, "models", good))
	if err != nil {
		t.Fatal(err)
	}
	point("late.json")
	s.expect("GET", "/health", "", 200, "is missing")
	if err := os.WriteFile(filepath.Join(s.dir, "models", "late.json"), b, 0o444); err != nil {
		t.Fatal(err)
	}
	time.Sleep(retryEvery)
	s.expect("GET", "/health", "", 200, `{"status":"ok","current_model":"late.json"`)
}
