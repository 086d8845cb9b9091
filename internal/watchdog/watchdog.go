// Package watchdog ends a test that hangs. A fuzz target has no time limit of its
// own: without a watchdog an input that never comes back only makes it slow, and is
// lost in the end. With one the process dies, so that the input is kept.
package watchdog

import (
	"fmt"
	"runtime/debug"
	"time"
)

// limit is a thousand times what any input takes, on a machine that is busy.
const limit = 10 * time.Second

// Start watches what is done until stop is called:
//
//	defer watchdog.Start()()
func Start() (stop func()) {
	timer := time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("watchdog: not done after %v", limit))
	})
	return func() { timer.Stop() }
}
