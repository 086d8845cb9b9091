package budget

import (
	"errors"
	"sync"
	"testing"
)

func TestClaims(t *testing.T) {
	b := New(4 * step)
	one, other := b.Claim(), b.Claim()
	spend := func(c *Claim, bytes, held int64, want error) {
		t.Helper()
		err := c.Spend(bytes)
		if _, ok := want.(*TooLargeError); ok && errors.As(err, new(*TooLargeError)) {
			err = want
		}
		if err != want || b.Held() != held {
			t.Errorf("Spend(%d) = %v, want %v; %d bytes are held, want %d", bytes, err, want, b.Held(), held)
		}
	}
	spend(&one, Free, 0, nil)
	spend(&one, 1, step, nil)
	spend(&one, step-1, step, nil)
	spend(&one, 1, 2*step, nil)
	spend(&other, 3*step, 2*step+2*step, nil)
	spend(&other, 1, 4*step, ErrFull)
	spend(&one, 3*step, 4*step, &TooLargeError{}) // more than there ever is
	spend(&one, step-1, 4*step, nil)
	other.Release()
	one.Release()
	one.Release()
	if b.Held() != 0 {
		t.Errorf("%d bytes are held after the release of all", b.Held())
	}
	if err := new(Claim).Spend(1 << 60); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

func TestClaimsTogether(t *testing.T) {
	b := New(8 * step)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				c := b.Claim()
				c.Spend(Free + 3*step)
				if held := b.Held(); held > 8*step+8*3*step { // an Add that is taken back may be seen
					t.Errorf("%d bytes are held", held)
				}
				c.Release()
			}
		})
	}
	wg.Wait()
	if b.Held() != 0 {
		t.Errorf("%d bytes are held after the release of all", b.Held())
	}
}
