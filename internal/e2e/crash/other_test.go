//go:build !(linux && amd64)

package crash_test

import "testing"

func TestServeOnBadDisks(t *testing.T) {
	t.Skip("SKIPPED: serve on bad disks: the test needs mounts of linux")
}

func TestCrashes(t *testing.T) {
	t.Skip("SKIPPED: faults at each call that changes a file: the tracer is for linux on amd64")
}
