//go:build !linux

package load_test

import "testing"

func TestPod(t *testing.T) {
	t.Skip("SKIPPED: serve as in a pod: the test needs mounts of linux")
}
