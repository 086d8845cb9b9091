// Package status has the exit statuses of the programs and what distinguishes them:
//
//	0  done, and the answer is yes
//	1  done, and the answer is no: the data or the model was rejected, drift was found
//	2  trouble: bad flags, a missing or broken file, no convergence
package status

import (
	"errors"
	"fmt"
)

// Exit statuses of every program.
const (
	Done     = 0
	Rejected = 1
	Trouble  = 2
)

// ErrRejected is wrapped by every error that answers no. Any other error is trouble.
var ErrRejected = errors.New("rejected")

type rejection struct{ error }

func (r rejection) Unwrap() error        { return r.error }
func (r rejection) Is(target error) bool { return target == ErrRejected }

// Reject returns an error that wraps ErrRejected, with the formatted text alone.
func Reject(format string, args ...any) error { return rejection{fmt.Errorf(format, args...)} }

// Of returns the exit status for the error that a program ends with.
func Of(err error) int {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, ErrRejected):
		return Rejected
	}
	return Trouble
}
