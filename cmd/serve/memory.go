package main

import (
	"cmp"
	"fmt"
	"os"
	"runtime/debug"

	"churn/internal/cli"
	"churn/internal/predictor/budget"
)

// The memory is for three things: a third for connections, a third for what requests hold
// beyond their connection's share, and a third for the model and for garbage. Go collects
// more often as it comes near to all of it. The quarter of a cgroup that is not used by
// default is for the system: buffers of sockets, and pages of the log.
const (
	leastMemory = 32 << 20
	mostMemory  = 1 << 50 // a petabyte: more is a mistake, and half of what overflows

	// connectionBytes is what a connection can hold: a header of 1,600 short fields (250 KB,
	// measured), buffers and stacks, a small body, a piece of a response, and what is not
	// counted of a request.
	connectionBytes = 320<<10 + budget.Free
)

// useMemory divides the memory of --memory, or by default three quarters of what there is.
func (o *options) useMemory() error {
	o.memory = cmp.Or(o.memory, max(leastMemory, cli.AvailableMemory()/4*3))
	if o.memory < leastMemory || o.memory > mostMemory {
		return fmt.Errorf("--memory %d: %d to %d bytes", o.memory, leastMemory, mostMemory)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(o.memory)
	}
	o.limits.Memory = o.memory / 3
	o.connections = int(min(o.memory/3/connectionBytes, 1<<20))
	return nil
}
