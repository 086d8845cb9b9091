package modelstore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"churn/internal/model"
	"churn/internal/registry"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// NewEntry returns the entry of metadata.json for a model, without its file.
func NewEntry(m *model.Model) registry.Entry {
	f := m.Metrics
	e := registry.Entry{
		Version: m.Version, TrainedAtUTC: m.TrainedAtUTC, DataFile: m.Data.File, Seed: m.Training.Seed,
		Metrics: registry.Metrics{
			Accuracy: f.Accuracy, Precision: f.Precision, Recall: f.Recall, F1: f.F1, BaselineF1: f.BaselineF1,
			BaselineF1All: f.BaselineF1All, ROCAUC: f.ROCAUC, AveragePrecision: f.AveragePrecision,
			LogLoss: f.LogLoss, Brier: f.Brier,
		},
		GateF1:     m.GateF1,
		DataSHA256: m.Data.SHA256, Rows: m.Training.Rows, Threshold: m.Threshold, TestSize: m.Training.TestSize,
		C: m.Training.C, ClassWeight: m.Training.ClassWeight, TrainedBy: m.TrainedBy,
	}
	if m.Verdict != nil {
		e.PassedGate, e.Verdict = m.Verdict.Passed, m.Verdict.Why
	}
	if m.Training.Tune != model.TuneNone {
		e.Metrics.F1Threshold05, e.Metrics.BestThreshold = &f.F1AtHalf, &m.Threshold
	}
	return e
}

// MatchEntry compares an entry of metadata.json with the model's document. The error
// names the first field that differs.
func MatchEntry(e registry.Entry, document []byte) error {
	m, err := model.Parse(document)
	if err != nil {
		return err
	}
	own := NewEntry(m)
	if m.Verdict == nil { // an older model: its gate was F1 alone, and may be in the entry alone
		own.GateF1 = cmp.Or(m.GateF1, e.GateF1)
		own.PassedGate = own.GateF1 != nil && m.Metrics.F1 >= *own.GateF1
	}
	own.ModelFile, own.ModelSHA256 = e.ModelFile, e.ModelSHA256
	says, err := fields(e)
	if err != nil {
		return err
	}
	is, err := fields(own)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if string(says[name]) != string(is[name]) {
			return fmt.Errorf("%s: %s says %s %s, the model itself %s: the entry was changed",
				e.ModelFile, registry.MetadataFile, name, says[name], is[name])
		}
	}
	return nil
}

// fields returns an entry's fields and those of its metrics, as JSON.
func fields(e registry.Entry) (map[string]jsontext.Value, error) {
	all := map[string]jsontext.Value{}
	for _, v := range []any{e.Metrics, e} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &all); err != nil {
			return nil, err
		}
	}
	delete(all, "metrics")
	return all, nil
}
