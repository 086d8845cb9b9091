package main

import (
	"errors"
	"math"
	"net"

	"golang.org/x/sys/unix"
)

// stopAccepting makes the kernel refuse new connections to a listener, which still accepts
// those whose handshake has begun: it binds the listener to an interface that does not
// exist. A load balancer is refused before it has sent anything, and tries the next
// service. Since Linux 5.7 this needs no privileges.
func stopAccepting(listener net.Listener) error {
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return errors.New("not a TCP listener")
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
