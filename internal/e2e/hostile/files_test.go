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

// A badFileTest replaces the files that serve reads by invalid ones.
type badFileTest struct {
	*attack
	good, text   string // name of the current model, and its document
	pointer, bad string // paths of the pointer, and of an invalid model
}

// testBadFiles replaces the files that serve reads by invalid ones. The last good model
// keeps serving, /health has the reason, and a huge file is not read.
func testBadFiles(a *attack) {
	a.begin()
	f := badFileTest{attack: a, good: a.Current(), pointer: a.Path("registry/current_model.txt")}
	f.bad, f.text = a.Path("models/bad.json"), programs.ReadFile(a.T, a.Path("models/"+f.good))
	before := peakMemory(a.Service)
	f.testPointers()
	f.testModels()
	f.testGrowingModel()
	if after := peakMemory(a.Service); after-before > 400<<20 {
		a.Errorf("serve had %d MB at most, and %d MB before the bad files", after>>20, before>>20)
	} else {
		a.Logf("serve had %d MB at most, %d MB before the bad files", after>>20, before>>20)
	}
	f.testMetadata()
	a.end()
	testBadStarts(a)
}

func (f badFileTest) write(path, text string) { f.Helper(); programs.WriteFile(f.T, path, text) }

// link returns a function that replaces a file by a symbolic link.
func (f badFileTest) link(to, at string) func() {
	return func() {
		os.Remove(at)
		if err := os.Symlink(to, at); err != nil {
			f.Fatal(err)
		}
	}
}

// until waits until /health answers with a text and the good model.
func (f badFileTest) until(what, part string) {
	f.Helper()
	health := ""
	if !programs.Poll(programs.Patience, func() bool { // serve reads the pointer at most once a millisecond
		var got []int
		got, health = f.raw(request("GET", "/health", ""))
		return len(got) == 1 && got[0] == 200 && strings.Contains(health, part) &&
			strings.Contains(health, `"current_model":"`+f.good+`"`)
	}) {
		f.Fatalf("%s: /health says %s, want %s", what, health, part)
	}
	if strings.Contains(health, f.Dir) || strings.Contains(health, "root:") {
		f.Errorf("%s: /health exposes a path: %s", what, health)
	}
	if answer := f.checkHealthy(); !strings.Contains(answer, `"model_version":"`+f.good+`"`) {
		f.Errorf("%s: answered by %s", what, answer)
	}
}

func (f badFileTest) restore() {
	f.Helper()
	f.write(f.pointer, f.good)
	f.until("restored", `{"status":"ok","current_model":"`+f.good+`",`)
}

// rejectedPointer calls put to replace the pointer, and wants part as the reason in /health.
func (f badFileTest) rejectedPointer(what, part string, put func()) {
	f.Helper()
	f.badFiles++
	os.Remove(f.pointer)
	put()
	f.until(what, part)
	f.restore()
}

// rejectedModel is rejectedPointer for a pointer to a model that put creates.
func (f badFileTest) rejectedModel(what, part string, put func()) {
	f.Helper()
	f.rejectedPointer(what, part, func() { put(); f.write(f.pointer, "bad.json") })
	if err := os.RemoveAll(f.bad); err != nil {
		f.Fatal(err)
	}
}

const irregular = "is not a regular file"

func (f badFileTest) testPointers() {
	for _, name := range []string{"../../etc/passwd", "/etc/passwd", "../registry/metadata.json", `..\a.json`,
		"models/" + f.good, "./" + f.good, ".", "..", "\x00.json", f.good + "\x00", "a.json\nb.json", f.good + "\n" + f.good,
		"\x1b[2J.json", strings.Repeat("a", 10_000) + ".json", "C:a.json", "CON", "-rf.json/", "~/.ssh/id_rsa",
		"file:///etc/passwd", "http://127.0.0.1/a.json", "%2e%2e%2fa.json ../x"} {
		f.rejectedPointer("the pointer "+name, "is not the file name of a model", func() { f.write(f.pointer, name) })
	}
	f.rejectedPointer("a pointer that is no UTF-8", "is missing", func() { f.write(f.pointer, "\xff\xfe.json") })
	f.rejectedPointer("a link to a file in place of the pointer", "is not the file name of a model",
		f.link("/etc/passwd", f.pointer))
	f.rejectedPointer("a link to a device in place of the pointer", irregular, f.link("/dev/zero", f.pointer))
	f.rejectedPointer("a link to itself in place of the pointer", "too many levels",
		f.link("current_model.txt", f.pointer))
	f.rejectedPointer("a pipe in place of the pointer", irregular, func() { mkfifo(f.T, f.pointer) })
	f.rejectedPointer("a folder in place of the pointer", irregular, func() { os.Mkdir(f.pointer, 0o755) })
	f.rejectedPointer("a pointer of 10 GB", "is not the file name of a model",
		func() { f.write(f.pointer, ""); os.Truncate(f.pointer, 10<<30) })
}

func (f badFileTest) testModels() {
	f.rejectedModel("a link to a model", irregular, f.link(f.good, f.bad))
	f.rejectedModel("a link out of the folder", irregular, f.link("../secret.html", f.bad))
	f.rejectedModel("a link to a device", irregular, f.link("/dev/zero", f.bad))
	f.rejectedModel("a pipe", irregular, func() { mkfifo(f.T, f.bad) })
	f.rejectedModel("a folder", irregular, func() { os.Mkdir(f.bad, 0o755) })
	f.rejectedModel("nothing", "is missing", func() {})
	f.rejectedModel("an empty model", "bad.json", func() { f.write(f.bad, "") })
	f.rejectedModel("a model of 10 GB", "has 10737418240 bytes, a model has at most 67108864",
		func() { f.write(f.bad, ""); os.Truncate(f.bad, 10<<30) })
	f.rejectedModel("the largest file that is read", "bad.json", func() { f.write(f.bad, ""); os.Truncate(f.bad, 64<<20) })
	f.rejectedModel("a model cut off", "bad.json", func() { f.write(f.bad, f.text[:len(f.text)/2]) })
	f.rejectedModel("a model that goes on", "bad.json", func() { f.write(f.bad, f.text+"{}") })
	f.rejectedModel("a deep model", "bad.json", func() { f.write(f.bad, strings.Repeat("[", 10<<20)) })
	f.rejectedModel("a model of one long text", "bad.json",
		func() { f.write(f.bad, `{"format":1,"schema":"`+strings.Repeat("x", 10<<20)+`"}`) })
	f.rejectedModel("a pickle", "bad.json", func() { f.write(f.bad, "\x80\x04\x95cos\nsystem\n(S'id'\ntR.") })
	f.rejectedModel("a weight of another size", "bad.json",
		func() { f.write(f.bad, strings.Replace(f.text, `"intercept":`, `"intercept":1`, 1)) })
}

// testGrowingModel reads a model that grows meanwhile.
func (f badFileTest) testGrowingModel() {
	f.badFiles++
	f.write(f.bad, "")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		file, err := os.OpenFile(f.bad, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer file.Close()
		block := bytes.Repeat([]byte(" "), 1<<20)
		for range 200 {
			select {
			case <-stop:
				return
			default:
				file.Write(block)
			}
		}
		<-stop
	}()
	f.write(f.pointer, "bad.json")
	f.until("a model that grows", "bad.json")
	close(stop)
	<-done
	os.Remove(f.bad)
	f.restore()
}

func (f badFileTest) testMetadata() {
	metadata := f.Path("registry/metadata.json")
	kept := metadata + ".kept"
	for what, put := range map[string]func(){
		"a pipe": func() { mkfifo(f.T, metadata) }, "a device": f.link("/dev/zero", metadata),
		"a folder": func() { os.Mkdir(metadata, 0o755) },
		"10 GB":    func() { f.write(metadata, ""); os.Truncate(metadata, 10<<30) },
		"no JSON":  func() { f.write(metadata, "\x00\xff") },
	} {
		if err := os.Rename(metadata, kept); err != nil {
			f.Fatal(err)
		}
		put()
		f.Logf("%s in place of metadata.json", what)
		f.rejected(request("GET", "/models", ""), 503)
		f.rejected(request("GET", "/models/"+strings.TrimSuffix(f.good, ".json")+".html", ""), 503)
		f.checkHealthy()
		os.RemoveAll(metadata)
		if err := os.Rename(kept, metadata); err != nil {
			f.Fatal(err)
		}
	}
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
