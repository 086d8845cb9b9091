package scripts_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// hook starts a receiver of alerts and sets $HOOK to its address. It appends each body to
// hook.jsonl and each Authorization to hook.auth, and answers with the status in
// hook.status, by default 200.
func hook(ts *testscript.TestScript, _ []string) {
	var mu sync.Mutex
	bodies, auth, status := ts.MkAbs("hook.jsonl"), ts.MkAbs("hook.auth"), ts.MkAbs("hook.status")
	add := func(path, line string) error {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString(line + "\n")
		return err
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		code := http.StatusOK
		if text, err := os.ReadFile(status); err == nil {
			code = map[string]int{"400": 400, "503": 503}[strings.TrimSpace(string(text))]
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || add(auth, r.Header.Get("Authorization")) != nil ||
			code == http.StatusOK && add(bodies, string(body)) != nil {
			code = http.StatusTeapot
		}
		w.WriteHeader(code)
	}))
	ts.Defer(server.Close)
	ts.Setenv("HOOK", server.URL)
}
