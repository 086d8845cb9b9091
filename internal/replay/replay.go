// Package replay scores the last records of the log again with a candidate model, and
// compares its predictions with the logged ones (shadow scoring).
//
// A record that the candidate answered itself is an audit: its probability, to the six
// decimals that are logged, and its label must be reproduced. Any other is a
// comparison: whether the label changes, and by how much the probability does.
// Nothing is written.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/predlog"
	"churn/internal/progress"
	"churn/internal/status"
)

const (
	maxChanges     = 10   // score changes that are reported
	maxReasons     = 3    // features that explain one
	maxDifferences = 5    // records not reproduced that are reported, to find the cause
	maxUnseen      = 10   // unseen levels that are reported
	maxLevels      = 1000 // unseen levels that are counted
)

// ErrNoRecords is returned if the log has no records.
var ErrNoRecords = errors.New("no records to replay: nothing has been predicted yet, run serve first")

// On says which records to replay.
type On struct {
	Last int      // the latest of all logs; 0: all
	Logs []string // patterns of the logs; none: those of the services on the folder
}

// A Result is the outcome of a replay. Probabilities are 0 to 1, shares too.
type Result struct {
	Model     string  `json:"model"` // the candidate; "" if it is not registered
	Threshold float64 `json:"threshold"`
	Records   int     `json:"records"` // audited, compared, or not scorable
	Malformed int     `json:"bad_lines"`
	Truncated bool    `json:"torn_last_line"`

	Compared        int           `json:"compared"` // answered by other models for its target, and scored by the candidate
	LabelChanges    int           `json:"flips"`
	ToPositive      int           `json:"more_calls"`  // label changes from 0 to 1
	ToNegative      int           `json:"fewer_calls"` // label changes from 1 to 0
	PositivesBefore int           `json:"calls_before"`
	PositivesAfter  int           `json:"calls_after"`
	ShareBefore     float64       `json:"called_share_before"` // positives, of the compared; 0 if there are none
	ShareAfter      float64       `json:"called_share_after"`
	MeanChange      float64       `json:"mean_move"`     // of the probability, new − logged
	MeanAbsChange   float64       `json:"mean_abs_move"` // of its absolute value
	Changes         []ScoreChange `json:"largest_moves"` // the largest first, at most 10

	NotScorable int          `json:"not_scorable"` // answered by other models, and not scorable by the candidate
	Unscorable  []Unscorable `json:"refused"`      // why, by feature

	OtherTarget   int `json:"other_target"`   // answered by models that predict another column: scorable, not compared
	UnknownFields int `json:"unknown_fields"` // compared, although the service refuses a field of theirs

	UnseenRecords int      `json:"unseen_records"` // scored although a level was unknown to the candidate
	Unseen        []Unseen `json:"unseen"`         // the most frequent first, at most 10

	Audited       int          `json:"audited"` // answered by the candidate itself
	NotReproduced int          `json:"not_reproduced"`
	Differences   []Difference `json:"differences"` // the first of those, at most 5

	warnings []string
}

// A ScoreChange is a record whose probability or label the candidate changes.
type ScoreChange struct {
	RequestID string   `json:"request_id"`
	Model     string   `json:"model_version"` // that answered
	Logged    float64  `json:"logged"`        // probability
	New       float64  `json:"new"`
	Before    int      `json:"prediction_before"`
	After     int      `json:"prediction_after"`
	Reasons   []Reason `json:"because"`       // the largest first, at most 3; none without the model that answered
	Base      float64  `json:"base,omitzero"` // part of the change that all records have, in log-odds

	features []predlog.Feature
	values   []dataset.Value
}

// A Reason is how much a feature's contribution changes from the model that answered
// to the candidate, in log-odds. Over all features and Base they sum to the change.
type Reason struct {
	Feature string  `json:"feature"`
	LogOdds float64 `json:"log_odds"`
}

// Unscorable counts records that the candidate cannot score. A record counts for the
// first feature that does not fit.
type Unscorable struct {
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

// A Difference is a record that its own model does not reproduce.
type Difference struct {
	RequestID string  `json:"request_id"`
	Logged    float64 `json:"logged"`
	New       float64 `json:"new"` // six decimals
	Before    int     `json:"prediction_before"`
	After     int     `json:"prediction_after"`
	Refused   string  `json:"refused,omitempty"` // why there is no new prediction
}

// Passed reports whether the candidate reproduces its own predictions.
func (r *Result) Passed() bool { return r.NotReproduced == 0 }

// Err returns an error of status 1 if the audit failed, or nobody could be scored.
func (r *Result) Err() error {
	if r.Passed() && r.Compared+r.OtherTarget == 0 && r.NotScorable > 0 {
		return status.Reject("%s can score none of the %d customers that other models answered", r.Model, r.NotScorable)
	}
	if r.Passed() {
		return nil
	}
	return status.Reject("audit: %s does not reproduce %d of its %d logged predictions: the log or the model was changed",
		r.Model, r.NotReproduced, r.Audited)
}

// Warnings returns anomalies of the logs.
func (r *Result) Warnings() []string { return r.warnings }

// Run replays records of the logs below dir with a model. name is "" if it is not
// registered, so that no record is its own. Without records the error is ErrNoRecords.
// Progress goes to stderr, if it is a terminal.
func Run(ctx context.Context, dir, name string, candidate *model.Model, on On, stderr io.Writer) (*Result, error) {
	logs, err := predlog.Find(dir, on.Logs)
	if err != nil {
		return nil, err
	}
	size, err := logs.Size()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", logs, ErrNoRecords)
	}
	if err != nil {
		return nil, err
	}
	bar := progress.Bytes(stderr, "replaying the log", size)
	defer bar.Finish()
	others, err := modelstore.Others(dir, candidate)
	if err != nil {
		return nil, err
	}
	days, err := modelstore.DaysAfter(dir, candidate.Schema)
	if err != nil {
		return nil, err
	}
	r, err := replay(ctx, logs, on.Last, name, candidate, others, days, bar.Set)
	if err != nil {
		return nil, err
	}
	if r.Records == 0 {
		return nil, fmt.Errorf("%s: %w", logs, ErrNoRecords)
	}
	read := modelstore.Open(dir).ReadRegistered
	models := map[string]*model.Model{}
	for i := range r.Changes {
		c := &r.Changes[i]
		if _, known := models[c.Model]; !known {
			models[c.Model], _ = model.Read(c.Model, read) // nil without a valid file: changes then have no reasons
		}
		if old := models[c.Model]; old != nil {
			c.explain(old, candidate)
		}
	}
	return r, nil
}

// replay adds up the last n records of logs.
func replay(
	ctx context.Context, logs predlog.Logs, n int, name string, m *model.Model, others map[string]string,
	days modelstore.Days, progress func(int64),
) (*Result, error) {
	all := newTotals(name, m, others, days)
	found, err := predlog.Fold[*totals]{
		New:      func() *totals { return newTotals(name, m, others, days) },
		Add:      (*totals).add,
		Merge:    func(next *totals) error { all.merge(next); return nil },
		Progress: progress,
		IDs:      true,
	}.Read(ctx, logs, n)
	if err != nil {
		return nil, err
	}
	r := all.Result
	r.Model, r.Threshold = name, m.Threshold
	r.Malformed, r.Truncated, r.warnings = found.Malformed, found.Truncated, found.Warnings(logs)
	r.Records = r.Audited + r.Compared + r.OtherTarget + r.NotScorable
	r.LabelChanges = r.ToPositive + r.ToNegative
	r.PositivesAfter = r.PositivesBefore + r.ToPositive - r.ToNegative
	if r.Compared > 0 {
		n := float64(r.Compared)
		r.ShareBefore, r.ShareAfter = float64(r.PositivesBefore)/n, float64(r.PositivesAfter)/n
		r.MeanChange, r.MeanAbsChange = all.change/n, all.abs/n
	}
	r.Unseen = sortedUnseen(all.unseen)
	r.Unseen = r.Unseen[:min(len(r.Unseen), maxUnseen)]
	return &r, nil
}
