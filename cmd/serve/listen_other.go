//go:build !linux

package main

import (
	"errors"
	"net"
)

// beginNoMore is for Linux alone.
func beginNoMore(net.Listener) error { return errors.ErrUnsupported }
