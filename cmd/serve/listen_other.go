//go:build !linux

package main

import (
	"errors"
	"net"
)

// stopAccepting is for Linux alone.
func stopAccepting(net.Listener) error { return errors.ErrUnsupported }
