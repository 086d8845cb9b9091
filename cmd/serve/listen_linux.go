package main

import (
	"errors"
	"math"
	"net"

	"golang.org/x/sys/unix"
)

// beginNoMore lets a listener begin no more connections, and finish those that are
// begun: it is bound to an interface that there is not, at which nobody calls. Who
// calls is refused, as if it was closed: so a balancer goes on to the next service,
// and has sent nothing yet. It needs no rights from Linux 5.7 on.
func beginNoMore(listener net.Listener) error {
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return errors.New("not a listener of TCP")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, math.MaxInt32)
	})
	return errors.Join(err, setErr)
}
