package predictor

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if the tests leave a goroutine behind: no request may cost one.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
