//go:build linux && amd64

package crash_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"churn/internal/testing/programs"

	"golang.org/x/sys/unix"
)

// A fileCall is a system call that changes a file or syncs one.
type fileCall struct {
	name string
	path string // relative to the traced folder
	size int    // bytes of a write

	creates bool // the path did not exist before
}

func (c fileCall) String() string { return c.name + " " + c.path }

// A mode is a kind of fault at a call.
type mode int

const (
	noFault  mode = iota
	killed        // signal 9 instead of the call
	cutShort      // half of the write, then signal 9
	failed        // the call fails with EIO, once
	full          // half of the write succeeds; calls that need space fail with ENOSPC from then on
)

func (m mode) String() string {
	return [...]string{"no fault", "killed at", "killed in the middle of", "input/output error at", "disk full from"}[m]
}

// appliesTo reports whether a call can have the fault.
func (m mode) appliesTo(c fileCall) bool {
	switch m {
	case cutShort:
		return c.name == "write" && c.size > 1
	case full:
		return needsRoom(c)
	}
	return true
}

func needsRoom(c fileCall) bool { return c.name == "write" || c.name == "open" || c.name == "mkdir" }

// A traced is a process traced by ptrace(2), with a fault at one of its calls, counted
// over all its threads.
type traced struct {
	dir  string // only calls that change files below it count
	at   int    // which call, 1 for the first
	mode mode

	hook func() // runs before the call at; the call is then left alone

	plain bool                 // not traced
	shell string               // shell command to run first, such as ulimit -n 9; only if plain
	sys   *syscall.SysProcAttr // only if plain

	disk      *disk // records the states after power cuts; may be nil
	calls     []fileCall
	triggered bool // the fault has occurred

	pid     int
	memory  *os.File
	pending map[int]int64    // by thread: the result to return instead of the call's
	inside  map[int]fileCall // by thread: the call in progress, for disk
}

// run runs a program until it ends, and returns its status, -1 for a signal. It sends the
// process id to started.
func (p *traced) run(command, env []string, stdout, stderr *os.File, started chan<- int) (status int, err error) {
	stdin, err := p.stdin(command)
	if err != nil {
		return 0, err
	}
	defer stdin.Close()
	runtime.LockOSThread() // ptrace works from the thread that started the process
	defer runtime.UnlockOSThread()
	p.pid, err = syscall.ForkExec(command[0], command, &syscall.ProcAttr{
		Dir: p.dir, Env: env, Files: []uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd()},
		Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return 0, err
	}
	started <- p.pid
	late := time.AfterFunc(programs.Patience, func() { syscall.Kill(p.pid, syscall.SIGKILL) })
	status, err = p.trace()
	if !late.Stop() {
		err = errors.Join(err, fmt.Errorf("it had not ended after %v", programs.Patience))
	}
	if err != nil {
		syscall.Kill(p.pid, syscall.SIGKILL)
	}
	return status, err
}

// stdin opens the customers for a command that reads them from standard input, else nothing.
func (p *traced) stdin(command []string) (*os.File, error) {
	if slices.Contains(command, "-") {
		return os.Open(filepath.Join(p.dir, "data", "raw.csv"))
	}
	return os.Open(os.DevNull)
}

// runPlain is run without tracing.
func (p *traced) runPlain(command, env []string, stdout, stderr *os.File, started chan<- int) (status int, err error) {
	if p.shell != "" {
		command = append([]string{"/bin/sh", "-c", p.shell + `; exec "$@"`, "sh"}, command...)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.dir, env, stdout, stderr, p.sys
	stdin, err := p.stdin(command)
	if err != nil {
		return 0, err
	}
	defer stdin.Close()
	cmd.Stdin = stdin
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	started <- cmd.Process.Pid
	late := time.AfterFunc(programs.Patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

func (p *traced) trace() (status int, err error) {
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(p.pid, &ws, 0, nil); err != nil {
		return 0, err
	}
	if p.memory, err = os.Open(fmt.Sprintf("/proc/%d/mem", p.pid)); err != nil {
		return 0, err
	}
	defer p.memory.Close()
	p.pending, p.inside = map[int]int64{}, map[int]fileCall{}
	options := syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(p.pid, options); err != nil {
		return 0, err
	}
	for tid, signal := p.pid, 0; ; {
		if err := syscall.PtraceSyscall(tid, signal); err != nil && err != syscall.ESRCH { // killed meanwhile
			return 0, err
		}
		for {
			if tid, err = syscall.Wait4(-p.pid, &ws, syscall.WALL, nil); err != syscall.EINTR {
				break
			}
		}
		if err != nil {
			return 0, err
		}
		for ws.Exited() || ws.Signaled() {
			if tid == p.pid {
				if ws.Signaled() {
					return -1, nil
				}
				return ws.ExitStatus(), nil
			}
			if tid, err = syscall.Wait4(-p.pid, &ws, syscall.WALL, nil); err != nil {
				return 0, err
			}
		}
		signal = 0
		switch stop := ws.StopSignal(); {
		case stop == syscall.SIGTRAP|0x80:
			if err := p.call(tid); err != nil && err != syscall.ESRCH {
				return 0, err
			}
		case stop == syscall.SIGTRAP || stop == syscall.SIGSTOP: // a new thread
		default:
			signal = int(stop)
		}
	}
}

// callInfo is ptrace(2)'s struct ptrace_syscall_info.
type callInfo struct {
	op     uint8
	_      [7]byte
	_      [2]uint64 // where
	number uint64    // of the call; what it returns when it is left
	args   [6]uint64
	_      uint64
}

// call handles a thread that enters or leaves a system call.
func (p *traced) call(tid int) error {
	var info callInfo
	if _, _, err := syscall.Syscall6(syscall.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(info),
		uintptr(unsafe.Pointer(&info)), 0, 0); err != 0 {
		return err
	}
	if info.op == unix.PTRACE_SYSCALL_INFO_EXIT {
		if c, ok := p.inside[tid]; ok {
			delete(p.inside, tid)
			if err := p.done(c, int64(info.number)); err != nil {
				return err
			}
		}
		result, ok := p.pending[tid]
		if !ok {
			return nil
		}
		delete(p.pending, tid)
		if result == 0 { // half of the write is done
			return syscall.Kill(p.pid, syscall.SIGKILL)
		}
		return p.set(tid, func(r *syscall.PtraceRegs) { r.Rax = uint64(result) })
	}
	c, ok := p.fileCall(tid, info)
	if !ok {
		return nil
	}
	p.calls = append(p.calls, c)
	n := len(p.calls)
	if p.disk != nil {
		p.disk.note(n, false)
		_, err := os.Lstat(filepath.Join(p.dir, c.path))
		c.creates = err != nil
		p.inside[tid] = c
	}
	if p.mode == noFault || n < p.at || n > p.at && p.mode != full {
		return nil
	}
	if !p.mode.appliesTo(c) {
		return nil
	}
	p.triggered = true
	if p.hook != nil {
		p.hook()
		return nil
	}
	halve := func(r *syscall.PtraceRegs) { r.Rdx /= 2 }
	switch {
	case p.mode == killed:
		return syscall.Kill(p.pid, syscall.SIGKILL)
	case p.mode == cutShort:
		p.pending[tid] = 0
		return p.set(tid, halve)
	case p.mode == full && n == p.at && c.size > 1:
		return p.set(tid, halve)
	case p.mode == full:
		p.pending[tid] = -int64(syscall.ENOSPC)
	default:
		p.pending[tid] = -int64(syscall.EIO)
	}
	return p.set(tid, func(r *syscall.PtraceRegs) { r.Orig_rax = ^uint64(0) }) // the kernel skips the call
}

// done records a finished call in the disk.
func (p *traced) done(c fileCall, result int64) error {
	path := filepath.Join(p.dir, c.path)
	switch {
	case result < 0:
	case c.creates && (c.name == "open" || c.name == "mkdir"):
		p.disk.created(path)
	case c.name == "fsync":
		return p.disk.synced(path)
	}
	return nil
}

func (p *traced) set(tid int, change func(*syscall.PtraceRegs)) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	change(&regs)
	return syscall.PtraceSetRegs(tid, &regs)
}

// fileCall decodes the call that a thread enters; ok if it changes a file below the folder.
func (p *traced) fileCall(tid int, info callInfo) (c fileCall, ok bool) {
	open := func(fd uint64) string {
		path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.pid, int32(fd)))
		return strings.TrimSuffix(path, " (deleted)")
	}
	named := func(fd, address uint64) string {
		path := p.text(address)
		switch {
		case filepath.IsAbs(path):
			return path
		case int32(fd) == unix.AT_FDCWD:
			return filepath.Join(p.dir, path)
		}
		return filepath.Join(open(fd), path)
	}
	a := info.args
	switch info.number {
	case unix.SYS_OPENAT:
		if a[2]&(unix.O_CREAT|unix.O_TRUNC) == 0 {
			return c, false
		}
		c = fileCall{name: "open", path: named(a[0], a[1])}
	case unix.SYS_MKDIRAT:
		c = fileCall{name: "mkdir", path: named(a[0], a[1])}
	case unix.SYS_UNLINKAT:
		c = fileCall{name: "unlink", path: named(a[0], a[1])}
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		c = fileCall{name: "rename", path: named(a[2], a[3])}
	case unix.SYS_TRUNCATE:
		c = fileCall{name: "truncate", path: named(unix.AT_FDCWD&(1<<32-1), a[0])}
	case unix.SYS_FTRUNCATE:
		c = fileCall{name: "truncate", path: open(a[0])}
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		c = fileCall{name: "write", path: open(a[0]), size: int(a[2])}
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		c = fileCall{name: "fsync", path: open(a[0])}
	case unix.SYS_FLOCK:
		c = fileCall{name: "flock", path: open(a[0])}
	// No binary makes the following calls; if one starts to, they count too.
	case unix.SYS_RENAME, unix.SYS_UNLINK, unix.SYS_RMDIR, unix.SYS_MKDIR, unix.SYS_CREAT, unix.SYS_LINK,
		unix.SYS_SYMLINK, unix.SYS_CHMOD:
		c = fileCall{name: fmt.Sprintf("call %d", info.number), path: named(unix.AT_FDCWD&(1<<32-1), a[0])}
	case unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_FCHMODAT:
		c = fileCall{name: fmt.Sprintf("call %d", info.number), path: named(a[0], a[1])}
	case unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_COPY_FILE_RANGE, unix.SYS_FALLOCATE, unix.SYS_FCHMOD:
		c = fileCall{name: fmt.Sprintf("call %d", info.number), path: open(a[0])}
	default:
		return c, false
	}
	path, err := filepath.Rel(p.dir, c.path)
	c.path = path
	return c, err == nil && path != ".." && !strings.HasPrefix(path, "../")
}

// text reads a string of the process.
func (p *traced) text(address uint64) string {
	b := make([]byte, unix.PathMax)
	n, err := p.memory.ReadAt(b, int64(address))
	if err != nil && err != io.EOF && n == 0 {
		return ""
	}
	text, _, _ := bytes.Cut(b[:n], []byte{0})
	return string(text)
}
