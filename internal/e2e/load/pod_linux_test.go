package load_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"churn/internal/testing/programs"

	"golang.org/x/sys/unix"
)

// TestPod runs serve as deploy's Deployment does, with its arguments except the port:
// as an unprivileged user, in a root with only the binaries, read-only except the logs.
func TestPod(t *testing.T) {
	bin := programs.Build(t)
	m, flags := readManifest(t)
	c, user := m.Spec.Template.Spec.Containers[0], m.Spec.Template.Spec.SecurityContext.RunAsUser
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: serve as in a pod: only root may mount and change the user")
	}
	key := strings.Repeat("k", 32)
	l, inside, logs := mountPod(t, bin, key, int(user))
	podName := "churn-5d9c7b6f4-x2x7q"
	command := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Env = "/", []string{"POD=" + podName}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: inside, Credential: &syscall.Credential{Uid: user, Gid: user}}
		return cmd
	}
	var args []string
	for _, arg := range c.Args {
		switch arg = strings.ReplaceAll(arg, "$(POD)", podName); {
		case strings.HasPrefix(arg, "--addr="):
			arg = "--addr=" + l.Addr
		case strings.HasPrefix(arg, "--drain="):
			arg = "--drain=100ms" // not tested here
		}
		args = append(args, arg)
	}
	var stderr bytes.Buffer
	cmd := command(c.Command[0], args...)
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.Serve = cmd    // is killed with the test
	open := l.Client // sends no key
	l.Client = &http.Client{Timeout: programs.Patience, Transport: keyed(key)}
	if !programs.Poll(programs.Patience, func() bool { _, _, err := l.Send("/livez", ""); return err == nil }) {
		l.Kill()
		t.Fatalf("serve does not answer: %s", &stderr)
	}
	for _, probe := range []probe{c.ReadinessProbe, c.LivenessProbe} {
		if code, text, err := programs.Request(open, "GET", l.URL(probe.HTTPGet.Path), "", ""); code != http.StatusOK ||
			err != nil {
			t.Errorf("%s without a key: %d %s %v", probe.HTTPGet.Path, code, text, err)
		}
	}
	predict := func(model string) {
		t.Helper()
		if a, err := l.Predict(); err != nil || !strings.Contains(a.Model, model) {
			t.Errorf("an answer by %q, %v, want one by %s", a.Model, err, model)
		}
	}
	predict("_v2_")
	l.Run("rollback") // outside, where the folder is writable; the pod sees the change
	for range 39 {
		predict("_v1_")
	}
	drift := command("/bin/drift", "--dir", flags["--dir"], "--log", "/logs/predictions*.log", "--json")
	out, err := drift.Output() // its status does not matter: all customers are the same
	var seen struct {
		Records int    `json:"records"`
		Model   string `json:"current_model"`
	}
	if json.Unmarshal(out, &seen) != nil || seen.Records != 40 || !strings.Contains(seen.Model, "_v1_") {
		t.Errorf("drift in the pod: %+v, %v: %s", seen, err, out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	l.Serve = nil
	if err := cmd.Wait(); err != nil {
		t.Errorf("serve ended with %v: %s", err, &stderr)
	}
	for line := range strings.Lines(stderr.String()) {
		if !strings.Contains(line, `"level":"INFO"`) && !strings.Contains(line, "do not read this log") {
			t.Errorf("serve logged: %s", line)
		}
	}
	if entries, err := os.ReadDir(logs); err != nil || len(entries) != 2 || // the log's lock, and the log
		entries[1].Name() != fmt.Sprintf("predictions-%s.log", podName) {
		t.Errorf("in the logs there is %v, %v", entries, err)
	}
}

// mountPod returns a loop outside of the pod, the pod's root, and the folder of its logs.
func mountPod(t *testing.T, bin, key string, user int) (l *programs.Loop, inside, logs string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pod") // other users may enter it, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	inside = filepath.Join(dir, "inside")
	outside := filepath.Join(dir, "outside")
	err = errors.Join(os.Chmod(dir, 0o755), os.Mkdir(inside, 0o755))
	for _, sub := range []string{"bin", "churn", "keys", "logs"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(outside, sub), 0o755))
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(outside, "keys", "keys"), []byte(key+"\n"), 0o444))
	if err != nil {
		t.Fatal(err)
	}
	if programs.RaceDetector { // the race detector's binaries are not static
		bin = filepath.Join(outside, "bin")
		programs.CompileTo(t, programs.Root(t), bin, "CGO_ENABLED=0",
			[]string{"generate", "prepare", "train", "rollback", "serve", "drift"})
	}
	l = programs.EmptyLoop(t, bin)
	l.Dir = filepath.Join(outside, "churn")
	l.Fill()

	mount := func(from, at string, flags uintptr) {
		t.Helper()
		if err := unix.Mount(from, at, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
		if err := unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	logs = t.TempDir()
	if err := os.Chown(logs, user, user); err != nil {
		t.Fatal(err)
	}
	mount(outside, inside, unix.MS_RDONLY)
	mount(bin, filepath.Join(inside, "bin"), unix.MS_RDONLY)
	mount(logs, filepath.Join(inside, "logs"), 0)
	if err := os.WriteFile(filepath.Join(inside, "churn", "x"), nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Fatalf("writing to the pod's disk: %v, want a read-only error", err)
	}
	return l, inside, logs
}

// keyed is a transport that sends an API key.
type keyed string

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(k))
	return http.DefaultTransport.RoundTrip(r)
}
