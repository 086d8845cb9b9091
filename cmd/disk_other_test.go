//go:build !(linux && amd64)

package cmd_test

import "testing"

func testServeOnBadDisks(t *testing.T, _ string) {
	t.Skip("SKIPPED: serve on bad disks: the test mounts disks of linux")
}
