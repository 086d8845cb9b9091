// Package budget bounds the memory that requests hold together, so that a service in a small
// container rejects what it has no memory for instead of being killed.
//
// A Budget is a counter of bytes. What can be large is counted before it is made: a body
// while it arrives, decoded rows, records, errors. Garbage is not counted: the budget must
// be some part of the memory that the process may take.
package budget

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrFull is for bytes that there is no room for now.
var ErrFull = errors.New("the requests in flight take all memory of --memory: try again")

// A TooLargeError is for a request that needs more than the whole budget.
type TooLargeError struct{ most int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the request needs more than the %d bytes that there are for requests: "+
		"send fewer rows at once, or start serve with more --memory", e.most)
}

// A Budget is a number of bytes that requests share.
type Budget struct {
	most int64
	held atomic.Int64
}

// New returns a budget.
func New(bytes int64) *Budget { return &Budget{most: bytes} }

// Held returns the bytes that are in use.
func (b *Budget) Held() int64 { return b.held.Load() }

const (
	// Free bytes of each request are not counted: they belong to its connection.
	Free = 64 << 10
	step = 64 << 10 // bytes taken at once, since the counter is shared
)

// A Claim is the part of a budget that a request holds. The zero value has no limit. It is
// for one goroutine at a time.
type Claim struct {
	budget      *Budget
	free, taken int64
}

// Claim returns a claim on a budget, or without a limit if b is nil.
func (b *Budget) Claim() Claim { return Claim{budget: b, free: Free} }

// Spend takes bytes from the budget. The error is ErrFull or a *TooLargeError; then nothing
// is taken, and smaller amounts may be.
func (c *Claim) Spend(bytes int64) error {
	if c.free >= bytes || c.budget == nil {
		c.free -= bytes
		return nil
	}
	more := (bytes - c.free + step - 1) / step * step
	if c.taken+more > c.budget.most {
		return &TooLargeError{c.budget.most}
	}
	if c.budget.held.Add(more) > c.budget.most {
		c.budget.held.Add(-more)
		return ErrFull
	}
	c.taken += more
	c.free += more - bytes
	return nil
}

// Release gives all bytes back.
func (c *Claim) Release() {
	if c.taken > 0 {
		c.budget.held.Add(-c.taken)
	}
	*c = Claim{}
}
