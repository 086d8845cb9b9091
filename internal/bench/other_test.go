//go:build !unix

package bench

import "os"

func settle() {}

// peakBytes returns 0: unknown on this system.
func peakBytes(*os.ProcessState) int64 { return 0 }
