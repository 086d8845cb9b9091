package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"churn/internal/predictor"
	"churn/internal/predictor/apikey"
)

// patience bounds every wait: far more than a loaded machine needs.
const patience = 20 * time.Second

// lines is a log that a test reads while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// wait waits for a match, and returns its first group, or all of it if there is none.
func (l *lines) wait(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		text := l.text.String()
		l.mu.Unlock()
		if m := re.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not in the log:\n%s", pattern, text)
		}
	}
}

// run starts the service, and returns its address and its log.
func run(t *testing.T, o options) (string, *lines) {
	t.Helper()
	var log lines
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	o.dir, o.addr = t.TempDir(), "127.0.0.1:0"
	o.limits = predictor.Limits{BatchRows: 1, BatchBytes: 1, InFlight: 1}
	go func() { done <- serve(ctx, slog.New(slog.NewJSONHandler(&log, nil)), o, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return log.wait(t, `"msg":"listening","addr":"([^"]+)"`), &log
}

// certify writes a new self-signed certificate of a year and its key.
func certify(t *testing.T, certPath, keyPath string, serial int64, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "churn"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0,
			1)},
		NotBefore: until.AddDate(-1, 0, 0), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certPath, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, keyPath, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func hangup(t *testing.T) {
	t.Helper()
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(syscall.SIGHUP)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestHangupRereadsTheCertificateAndTheKeys(t *testing.T) {
	dir := t.TempDir()
	o := options{sync: "none", mode: "0660",
		tlsCert: filepath.Join(dir, "cert.pem"), tlsKey: filepath.Join(dir, "key.pem"),
		keyFile: filepath.Join(dir, "keys")}
	certify(t, o.tlsCert, o.tlsKey, 1, time.Now().Add(time.Hour))
	write(t, o.keyFile, "old\n")
	addr, log := run(t, o)

	check := func(serial int64, key string, status int) {
		t.Helper()
		pool, pem := x509.NewCertPool(), must(os.ReadFile(o.tlsCert))(t)
		pool.AppendCertsFromPEM(pem)
		config := &tls.Config{RootCAs: pool}
		if !strings.Contains(string(pem), "CERTIFICATE") { // the file is broken, the service has the one before
			config.InsecureSkipVerify = true
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
			Timeout: patience}
		r := must(http.NewRequest("POST", "https://"+addr+"/predict", strings.NewReader("{}")))(t)
		r.Header.Set("X-API-Key", key)
		answer := must(client.Do(r))(t)
		answer.Body.Close()
		if got := answer.TLS.PeerCertificates[0].SerialNumber.Int64(); got != serial || answer.StatusCode != status {
			t.Errorf("certificate %d, status %d for the key %q, want %d and %d", got, answer.StatusCode, key, serial, status)
		}
	}
	const asked = 503 // there is no model: the key was good
	check(1, "old", asked)
	check(1, "new", 401)

	certify(t, o.tlsCert, o.tlsKey, 2, time.Now().Add(time.Hour))
	write(t, o.keyFile, "new\n")
	hangup(t)
	log.wait(t, `"msg":"API keys reread"`)
	log.wait(t, `"msg":"TLS certificate reread"`)
	check(2, "old", 401)
	check(2, "new", asked)

	write(t, o.tlsCert, "broken")
	write(t, o.keyFile, "")
	hangup(t)
	log.wait(t, `"msg":"API keys not reread: the last ones stay in use","error":"[^"]+there is no key in it"`)
	log.wait(t, `"msg":"TLS certificate not reread: the last ones stay in use","error":"[^"]+"`)
	check(2, "new", asked)
}

// An operator learns in time that a certificate expires: from the service's log and from --check.
func TestAnExpiringCertificateIsWarnedOf(t *testing.T) {
	for days, want := range map[int]string{-1: "has expired", 1: "expires soon", 13: "expires soon", 15: ""} {
		dir := t.TempDir()
		o := options{sync: "none", mode: "0660",
			tlsCert: filepath.Join(dir, "cert.pem"), tlsKey: filepath.Join(dir, "key.pem")}
		certify(t, o.tlsCert, o.tlsKey, 1, time.Now().AddDate(0, 0, days))
		var printed bytes.Buffer
		_ = check(&printed, o, &net.TCPAddr{}, must(openSecure(o))(t)) // there is no model
		if line := regexp.MustCompile(`until [-0-9]+(: it .*)?`).FindStringSubmatch(printed.String()); line == nil ||
			strings.TrimPrefix(line[1], ": it ") != want {
			t.Errorf("%d days: --check prints %q, want %q", days, line, want)
		}
		if _, log := run(t, o); want != "" {
			log.wait(t, `"WARN","msg":"the TLS certificate `+want+`: replace it, and send SIGHUP","until":`)
		}
	}
}

// must returns a function that returns x, or ends the test if there is an error.
func must[T any](x T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// A connection holds one request, also over TLS: the memory of all is counted so.
func TestHTTP2IsNotSpoken(t *testing.T) {
	dir := t.TempDir()
	o := options{sync: "none", mode: "0660",
		tlsCert: filepath.Join(dir, "cert.pem"), tlsKey: filepath.Join(dir, "key.pem")}
	certify(t, o.tlsCert, o.tlsKey, 1, time.Now().Add(time.Hour))
	addr, _ := run(t, o)
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
	conn := must(tls.Dial("tcp", addr, config))(t)
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("the connection speaks %q", got)
	}
}

func TestAHeaderTooLargeIsRefused(t *testing.T) {
	addr, _ := run(t, options{sync: "none", mode: "0660"})
	r := must(http.NewRequest("GET", "http://"+addr+"/health", nil))(t)
	r.Header.Set("X-Padding", strings.Repeat("x", 2*headerBytes))
	answer := must(http.DefaultClient.Do(r))(t)
	answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", answer.StatusCode)
	}
}

func TestAnOpenServiceIsWarnedOf(t *testing.T) {
	check := func(s secure, ip string, want bool) {
		t.Helper()
		var log lines
		s.warn(slog.New(slog.NewTextHandler(&log, nil)), &net.TCPAddr{IP: net.ParseIP(ip), Port: 8000})
		if got := log.text.Len() > 0; got != want {
			t.Errorf("warned of %s with the keys %v: %t, want %t", ip, s.keys, got, want)
		}
	}
	check(secure{}, "127.0.0.1", false)
	check(secure{}, "::1", false)
	check(secure{}, "0.0.0.0", true)
	check(secure{}, "::", true)
	check(secure{}, "192.168.1.5", true)
	check(secure{keys: &apikey.Keys{}}, "0.0.0.0", false)
}
