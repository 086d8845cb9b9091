// Package replay scores the last customers of the log again with a candidate
// model, and compares its answers with those that were given.
//
// A record that the candidate answered itself is an audit: its probability, to the
// six decimals that are logged, and its prediction must come out again. Any other
// is a comparison: whether the answer flips, and how far the probability moves.
// Nothing is written.
package replay

import (
	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/predlog"
)

const (
	maxMoves       = 10 // as many as one reads
	maxReasons     = 3  // features that explain a move
	maxDifferences = 5  // answers that were not reproduced, to begin to look for the cause
	maxUnseen      = 10 // levels that the candidate does not know
	maxLevels      = 1000
)

// A Result is what a rehearsal found. Probabilities are 0 to 1, shares too.
type Result struct {
	Model     string  `json:"model"` // the candidate
	Threshold float64 `json:"threshold"`
	Records   int     `json:"records"` // looked at: audited, compared, or not scorable
	Bad       int     `json:"bad_lines"`
	Torn      bool    `json:"torn_last_line"`

	Compared    int     `json:"compared"` // answered by other models, and scored by the candidate
	Flips       int     `json:"flips"`
	MoreCalls   int     `json:"more_calls"`  // flips from not called to called
	FewerCalls  int     `json:"fewer_calls"` // flips from called to not called
	CallsBefore int     `json:"calls_before"`
	CallsAfter  int     `json:"calls_after"`
	ShareBefore float64 `json:"called_share_before"` // of the compared; 0 if there are none
	ShareAfter  float64 `json:"called_share_after"`
	MeanMove    float64 `json:"mean_move"`     // of the probability, new − logged
	MeanAbsMove float64 `json:"mean_abs_move"` // of its size
	Moves       []Move  `json:"largest_moves"` // the largest first, at most 10

	NotScorable int      `json:"not_scorable"` // answered by other models, and refused by the candidate
	Refused     []Reason `json:"refused"`      // why, by feature

	UnseenRecords int      `json:"unseen_records"` // scored though a level was unknown to the candidate
	Unseen        []Unseen `json:"unseen"`         // the most frequent first, at most 10

	Audited       int          `json:"audited"` // answered by the candidate itself
	NotReproduced int          `json:"not_reproduced"`
	Differences   []Difference `json:"differences"` // the first that were not, at most 5

	odd []string // about the logs, in words
}

// A Move is a customer whose probability the candidate changes, or whose answer.
type Move struct {
	RequestID string   `json:"request_id"`
	Model     string   `json:"model_version"` // that answered
	Logged    float64  `json:"logged"`        // probability
	New       float64  `json:"new"`
	Before    int      `json:"prediction_before"`
	After     int      `json:"prediction_after"`
	Because   []Change `json:"because"`       // the largest first, at most 3; none if the model that answered is not at hand
	Base      float64  `json:"base,omitzero"` // how much of the move every customer has, in log-odds

	features []predlog.Feature
	values   []dataset.Value
}

// A Change is how a feature's contribution changes from the model that answered to
// the candidate, in log-odds. With Base they add up to the move's.
type Change struct {
	Feature string  `json:"feature"`
	LogOdds float64 `json:"log_odds"`
}

// A Reason is why the candidate cannot score some records. A record counts for its
// first feature that is refused.
type Reason struct {
	Feature   string           `json:"feature"`
	Reason    dataset.Mismatch `json:"reason"`
	Detail    string           `json:"detail,omitempty"` // of the first
	Records   int              `json:"records"`
	RequestID string           `json:"request_id"` // of the first
}

// Unseen is a level that no training row of the candidate had.
type Unseen struct {
	Feature string `json:"feature"`
	Level   string `json:"level"`
	Records int    `json:"records"`
}

// A Difference is an answer that its own model does not give again.
type Difference struct {
	RequestID string  `json:"request_id"`
	Logged    float64 `json:"logged"`
	New       float64 `json:"new"` // six decimals
	Before    int     `json:"prediction_before"`
	After     int     `json:"prediction_after"`
	Refused   string  `json:"refused,omitempty"` // why there is no new answer
}

// Passed tells whether the candidate gave its own answers again.
func (r *Result) Passed() bool { return r.NotReproduced == 0 }

// Err returns nil if the audit passed, else an answer of no.
func (r *Result) Err() error {
	if r.Passed() {
		return nil
	}
	return cli.No("audit: %s does not give %d of its %d logged answers again: the log or the model was changed", r.Model, r.NotReproduced, r.Audited)
}

// Warnings puts what is odd about the logs in words.
func (r *Result) Warnings() []string { return r.odd }
