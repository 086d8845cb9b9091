package hostile_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"churn/internal/testing/programs"
)

// testBadFiles replaces the files that serve reads by invalid ones. The last good model
// keeps serving, /health has the reason, and a huge file is not read.
func testBadFiles(a *attack) {
	a.begin()
	good, pointer := a.Current(), a.Path("registry/current_model.txt")
	text := programs.ReadFile(a.T, a.Path("models/"+good))
	before := peakMemory(a.Service)
	write := func(path, text string) { a.Helper(); programs.WriteFile(a.T, path, text) }
	var health string
	until := func(what, part string) { // the service reads the pointer at most once a millisecond
		a.Helper()
		if !programs.Poll(programs.Patience, func() bool {
			var got []int
			got, health = a.raw(request("GET", "/health", ""))
			return len(got) == 1 && got[0] == 200 && strings.Contains(health, part) &&
				strings.Contains(health, `"current_model":"`+good+`"`)
		}) {
			a.Fatalf("%s: /health says %s, want %s", what, health, part)
		}
		if strings.Contains(health, a.Dir) || strings.Contains(health, "root:") {
			a.Errorf("%s: /health exposes a path: %s", what, health)
		}
		if answer := a.checkHealthy(); !strings.Contains(answer, `"model_version":"`+good+`"`) {
			a.Errorf("%s: answered by %s", what, answer)
		}
	}
	restore := func() {
		a.Helper()
		write(pointer, good)
		until("restored", `{"status":"ok","current_model":"`+good+`"}`)
	}
	refused := func(what, part string, put func()) {
		a.Helper()
		a.badFiles++
		os.Remove(pointer)
		put()
		until(what, part)
		restore()
	}
	for _, name := range []string{"../../etc/passwd", "/etc/passwd", "../registry/metadata.json", `..\a.json`,
		"models/" + good, "./" + good, ".", "..", "\x00.json", good + "\x00", "a.json\nb.json", good + "\n" + good,
		"\x1b[2J.json", strings.Repeat("a", 10_000) + ".json", "C:a.json", "CON", "-rf.json/", "~/.ssh/id_rsa",
		"file:///etc/passwd", "http://127.0.0.1/a.json", "%2e%2e%2fa.json ../x"} {
		refused("the pointer "+name, "is not the file name of a model", func() { write(pointer, name) })
	}
	refused("a pointer that is no UTF-8", "is missing", func() { write(pointer, "\xff\xfe.json") })
	link := func(to, at string) func() {
		return func() {
			os.Remove(at)
			if err := os.Symlink(to, at); err != nil {
				a.Fatal(err)
			}
		}
	}
	const irregular = "is not a regular file"
	refused("a link to a file in place of the pointer", "is not the file name of a model", link("/etc/passwd", pointer))
	refused("a link to a device in place of the pointer", irregular, link("/dev/zero", pointer))
	refused("a link to itself in place of the pointer", "too many levels", link("current_model.txt", pointer))
	refused("a pipe in place of the pointer", irregular, func() { mkfifo(a.T, pointer) })
	refused("a folder in place of the pointer", irregular, func() { os.Mkdir(pointer, 0o755) })
	refused("a pointer of 10 GB", "is not the file name of a model",
		func() { write(pointer, ""); os.Truncate(pointer, 10<<30) })

	bad := a.Path("models/bad.json")
	model := func(what, part string, put func()) {
		a.Helper()
		refused(what, part, func() { put(); write(pointer, "bad.json") })
		if err := os.RemoveAll(bad); err != nil {
			a.Fatal(err)
		}
	}
	model("a link to a model", irregular, link(good, bad))
	model("a link out of the folder", irregular, link("../secret.html", bad))
	model("a link to a device", irregular, link("/dev/zero", bad))
	model("a pipe", irregular, func() { mkfifo(a.T, bad) })
	model("a folder", irregular, func() { os.Mkdir(bad, 0o755) })
	model("nothing", "is missing", func() {})
	model("an empty model", "bad.json", func() { write(bad, "") })
	model("a model of 10 GB", "has 10737418240 bytes, a model has at most 67108864",
		func() { write(bad, ""); os.Truncate(bad, 10<<30) })
	model("the largest file that is read", "bad.json", func() { write(bad, ""); os.Truncate(bad, 64<<20) })
	model("a model cut off", "bad.json", func() { write(bad, text[:len(text)/2]) })
	model("a model that goes on", "bad.json", func() { write(bad, text+"{}") })
	model("a deep model", "bad.json", func() { write(bad, strings.Repeat("[", 10<<20)) })
	model("a model of one long text", "bad.json",
		func() { write(bad, `{"format":1,"schema":"`+strings.Repeat("x", 10<<20)+`"}`) })
	model("a pickle", "bad.json", func() { write(bad, "\x80\x04\x95cos\nsystem\n(S'id'\ntR.") })
	model("a weight of another size", "bad.json",
		func() { write(bad, strings.Replace(text, `"intercept":`, `"intercept":1`, 1)) })

	// A model that grows while it is read.
	a.badFiles++
	write(bad, "")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.OpenFile(bad, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer f.Close()
		block := bytes.Repeat([]byte(" "), 1<<20)
		for range 200 {
			select {
			case <-stop:
				return
			default:
				f.Write(block)
			}
		}
		<-stop
	}()
	write(pointer, "bad.json")
	until("a model that grows", "bad.json")
	close(stop)
	<-done
	os.Remove(bad)
	restore()

	if after := peakMemory(a.Service); after-before > 400<<20 {
		a.Errorf("serve had %d MB at most, and %d MB before the bad files", after>>20, before>>20)
	} else {
		a.Logf("serve had %d MB at most, %d MB before the bad files", after>>20, before>>20)
	}

	metadata := a.Path("registry/metadata.json")
	kept := metadata + ".kept"
	for what, put := range map[string]func(){
		"a pipe": func() { mkfifo(a.T, metadata) }, "a device": link("/dev/zero", metadata),
		"a folder": func() { os.Mkdir(metadata, 0o755) },
		"10 GB":    func() { write(metadata, ""); os.Truncate(metadata, 10<<30) },
		"no JSON":  func() { write(metadata, "\x00\xff") },
	} {
		if err := os.Rename(metadata, kept); err != nil {
			a.Fatal(err)
		}
		put()
		a.Logf("%s in place of metadata.json", what)
		a.rejected(request("GET", "/models", ""), 503)
		a.rejected(request("GET", "/models/"+strings.TrimSuffix(good, ".json")+".html", ""), 503)
		a.checkHealthy()
		os.RemoveAll(metadata)
		if err := os.Rename(kept, metadata); err != nil {
			a.Fatal(err)
		}
	}
	a.end()
	testBadStarts(a)
}

// testBadStarts starts serve with files that are not regular or too large. It exits with
// status 2 and the reason, or serves without a model, but does not block.
func testBadStarts(a *attack) {
	dir := a.TempDir()
	pipe := filepath.Join(dir, "pipe")
	mkfifo(a.T, pipe)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certify(a.T, cert, key)
	fails := func(why string, args ...string) {
		a.Helper()
		a.badFiles++
		cmd := exec.Command(filepath.Join(a.Bin, "serve"), append([]string{"--dir", dir, "--addr", "127.0.0.1:0"},
			args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			a.Fatal(err)
		}
		timer := time.AfterFunc(programs.Patience, func() { cmd.Process.Kill() })
		cmd.Wait()
		if !timer.Stop() || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), why) {
			a.Errorf("serve %v: %v, %s, want status 2 and %s", args, cmd.ProcessState, stderr.String(), why)
		}
	}
	fails("pipe is not a regular file", "--api-key-file", pipe)
	fails("zero is not a regular file", "--api-key-file", "/dev/zero")
	fails("pipe is not a regular file", "--tls-cert", pipe, "--tls-key", key)
	fails("pipe is not a regular file", "--tls-cert", cert, "--tls-key", pipe)
	fails("is not a regular file", "--api-key-file", dir)
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		a.Fatal(err)
	}
	os.Truncate(huge, 10<<30)
	fails("has 10737418240 bytes", "--api-key-file", huge)
	fails("a name, with a port", "--host", "http://evil.example/x")
	logs := filepath.Join(dir, "logs", "predictions.log")
	os.MkdirAll(filepath.Dir(logs), 0o755)
	mkfifo(a.T, logs)
	fails("logging a prediction", "--log-sync", "batch")
	os.Remove(logs)

	// A pipe in place of the pointer at the start: serve runs without a model.
	a.badFiles++
	sound := a.Dir
	a.Dir = a.TempDir()
	defer func() { a.Dir = sound }()
	os.MkdirAll(a.Path("registry"), 0o755)
	mkfifo(a.T, a.Path("registry/current_model.txt"))
	a.begin()
	if got, answer := a.raw(request("GET", "/health", "")); len(got) != 1 || got[0] != 503 ||
		!strings.Contains(answer, "registry/current_model.txt is not a regular file") {
		a.Errorf("%v %s", got, answer)
	}
	a.end()
}

// testKeyGuesses sends wrong keys from one address; a known client is still answered. Then
// the file of keys is replaced by a pipe and reloaded.
func testKeyGuesses(a *attack) {
	keys := a.Path("keys")
	if err := os.WriteFile(keys, []byte("a-key-of-the-team\nanother-key\n"), 0o600); err != nil {
		a.Fatal(err)
	}
	a.begin("--api-key-file", keys)
	ask := func(key string) int {
		a.Helper()
		got, answer := a.raw(request("POST", "/predict", programs.GoodCustomer, "X-API-Key: "+key))
		if len(got) != 1 {
			a.Fatalf("%s: %v %s", key, got, answer)
		}
		return got[0]
	}
	if got := ask("a-key-of-the-team"); got != 200 {
		a.Fatalf("a known key is answered %d", got)
	}
	counts := map[int]int{}
	for i := range 200 {
		a.requests++
		counts[ask(fmt.Sprintf("a-key-of-the-tea%c", 'a'+i%12))]++
	}
	if counts[401] > 61 || counts[401] < 60 || counts[401]+counts[429] != 200 {
		a.Errorf("200 guesses are answered %v, want 60 of 401 and then 429", counts)
	}
	if got := ask("another-key"); got != 429 {
		a.Errorf("a right guess after too many is answered %d, want 429", got)
	}
	if got := ask("a-key-of-the-team"); got != 200 {
		a.Errorf("a known client is answered %d after wrong keys from its address", got)
	}
	if got, _ := a.raw(request("GET", "/health", "")); len(got) != 1 || got[0] != 200 {
		a.Errorf("/health is answered %v", got)
	}

	os.Remove(keys)
	mkfifo(a.T, keys)
	a.badFiles++
	if err := a.Serve.Process.Signal(syscall.SIGHUP); err != nil {
		a.Fatal(err)
	}
	a.WaitFor("the keys are read again", func() bool { return a.Logged("API keys not reread") })
	if got := ask("a-key-of-the-team"); got != 200 {
		a.Errorf("after a pipe in place of the keys: %d", got)
	}
	a.end()
}

// certify writes the certificate of httptest for 127.0.0.1 and its key.
func certify(t *testing.T, cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// secureClient returns a client that trusts the certificate of certify.
func secureClient() *http.Client {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	client := server.Client()
	client.Timeout = programs.Patience
	return client
}
