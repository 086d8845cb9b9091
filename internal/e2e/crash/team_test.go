//go:build linux && amd64

package crash_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"

	"golang.org/x/sys/unix"
)

// Two users of one group share a folder whose subfolders have the group and its bit, as people
// make them; a third may read. Each who may change it does so, whoever was first; the reader
// verifies and lists, also where nobody can write.
func TestUsersOfOneGroupShareAFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		need.Missing(t, "root, which may run programs as other users and mount a folder read-only")
	}
	bin := programs.Build(t)
	makeAccessible(t, bin)
	const team = 65100
	as := func(uid, gid uint32, umask, dir, command string) (status int, output string) {
		t.Helper()
		c := exec.Command("/bin/sh", "-c", "umask "+umask+"; PATH="+bin+":$PATH; "+command)
		c.Dir = dir
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		out, err := c.CombinedOutput()
		if c.ProcessState == nil {
			t.Fatalf("%s: %v", command, err)
		}
		return c.ProcessState.ExitCode(), string(out)
	}
	must := func(uid, gid uint32, umask, dir, command string) {
		t.Helper()
		if status, out := as(uid, gid, umask, dir, command); status != 0 {
			t.Errorf("umask %s, user %d: %s: status %d: %s", umask, uid, command, status, out)
		}
	}
	for _, umask := range []string{"022", "027"} {
		dir := t.TempDir()
		makeAccessible(t, dir)
		for _, name := range []string{"data", "registry", "models", "logs"} {
			path := filepath.Join(dir, name)
			if err := os.Mkdir(path, 0o775); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(path, 0, team); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, os.ModeSetgid|0o775); err != nil {
				t.Fatal(err)
			}
		}
		must(65101, team, umask, dir, "generate --rows 300 && prepare && train --gate-f1 0 && "+
			"evaluate --version v2 --gate-f1 0")
		must(65102, team, umask, dir, "rollback --verify && prepare && evaluate --gate-f1 0 && rollback --reason worse && "+
			"rollback --prune --keep 2")
		must(65101, team, umask, dir, "train --gate-f1 0 && rollback --verify")
		if umask == "027" {
			continue // strangers may not read
		}
		before := snapshot(t, dir)
		read := func(what, dir string) {
			t.Helper()
			must(65103, 65103, umask, dir, "rollback --verify && rollback --list && rollback --dry-run && "+
				"rollback --prune --keep 0 --dry-run")
			status, out := as(65103, 65103, umask, dir, "rollback")
			if status != 2 || !strings.Contains(out, "permission denied") && !strings.Contains(out, "read-only") {
				t.Errorf("%s: a reader's rollback: status %d: %s", what, status, out)
			}
			// Where drift cannot remember what it has notified it says so, and notifies nobody.
			status, out = as(65103, 65103, umask, dir, "drift --alert-url http://127.0.0.1:9")
			if status != 2 || !strings.Contains(out, "with --state") {
				t.Errorf("%s: a reader's drift: status %d: %s", what, status, out)
			}
		}
		read("a reader", dir)
		if err := os.Remove(filepath.Join(dir, "registry/registry.lock")); err != nil {
			t.Fatal(err)
		}
		read("a reader without the lock's file", dir)

		mounted := t.TempDir()
		makeAccessible(t, mounted)
		if err := unix.Mount(dir, mounted, "", unix.MS_BIND, ""); err != nil {
			need.Missing(t, "the right to mount a folder: %v", err)
		}
		t.Cleanup(func() { unix.Unmount(mounted, unix.MNT_DETACH) })
		if err := unix.Mount("", mounted, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		read("a reader of a read-only mount", mounted)
		must(0, 0, umask, mounted, "rollback --verify && rollback --list")
		delete(before, "registry/registry.lock")
		if after := snapshot(t, dir); len(after) != len(before) {
			t.Errorf("readers left %d files, there were %d", len(after), len(before))
		}
	}
}
