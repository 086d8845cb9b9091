package predictor

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/predictor/webui"
	"churn/internal/registry"
	"churn/internal/report"

	"github.com/go-chi/chi/v5"
)

// A modelInUse is the response of GET /models/current: the registry's entry, and what a
// form for customers needs.
type modelInUse struct {
	registry.Entry `json:",embed"`

	Target   dataset.Target `json:"target"`
	Card     string         `json:"card,omitempty"` // path of its card; "" if there is none
	Features []formFeature  `json:"features"`       // in the schema's order
}

// A formFeature is a feature as a person fills it in.
type formFeature struct {
	Name     string        `json:"name"`
	Type     string        `json:"type"` // number or category
	Integer  bool          `json:"integer,omitzero"`
	Optional bool          `json:"optional,omitzero"`
	Default  dataset.Value `json:"default"`         // typical of the training rows; null if no row had one
	Min      *float64      `json:"min,omitzero"`    // numbers: minimum of the training rows
	Max      *float64      `json:"max,omitzero"`    // and maximum
	Whole    bool          `json:"whole,omitzero"`  // numbers: minimum, maximum and deciles are whole
	Levels   []formLevel   `json:"levels,omitzero"` // categories: of the training rows, the most frequent first

	Label       string `json:"label,omitempty"` // as the schema has them
	Unit        string `json:"unit,omitempty"`
	Description string `json:"description,omitempty"` // without one in the schema, what number a date is, or 18 %
}

// A formLevel is a level, and how many training rows had it.
type formLevel struct {
	Level string `json:"level"`
	Rows  int    `json:"rows"`
}

// currentModel answers GET /models/current: the entry of the served model, or what the
// model says of itself if it is not registered.
func (p *Predictor) currentModel(w http.ResponseWriter, r *http.Request, s *snapshot) error {
	if err := p.readList(r, 0); err != nil {
		return err
	}
	m := s.model
	c := modelInUse{Entry: modelstore.NewEntry(m), Target: m.Schema.Target, Features: form(m)}
	c.ModelFile = s.name
	entries, err := p.follower.reg.Entries()
	if i := slices.IndexFunc(entries, func(e registry.Entry) bool { return e.ModelFile == s.name }); err == nil && i >= 0 {
		c.Entry = entries[i]
		if p.follower.reg.HasCard(s.name) {
			c.Card = registry.Models + "/" + registry.CardName(s.name)
		}
	}
	p.send(w, r, append(marshal(c), '\n'))
	return nil
}

// form returns the features of a model as a person fills them in.
func form(m *model.Model) []formFeature {
	features := make([]formFeature, len(m.Schema.Features))
	for i := range features {
		f := &m.Schema.Features[i]
		reference := m.Reference.Columns[f.Name]
		features[i] = formFeature{
			Name: f.Name, Type: f.Type, Integer: f.Integer, Optional: f.Optional, Default: typical(m, i),
			Label: f.Label, Description: cmp.Or(f.Description, f.Example()),
		}
		switch f.Unit {
		case dataset.Percent, dataset.Minutes: // these are not the unit of the number
		case dataset.Seconds:
			features[i].Unit = "s"
		default:
			features[i].Unit = f.Unit
		}
		if f.Type == dataset.Number {
			if reference.Rows > 0 {
				features[i].Min, features[i].Max = &reference.Numbers.Min, &reference.Numbers.Max
				features[i].Whole = whole(reference.Numbers)
			}
			continue
		}
		for _, level := range m.CommonLevels(f) {
			features[i].Levels = append(features[i].Levels, formLevel{level, reference.Levels[level]})
		}
	}
	return features
}

// whole reports whether minimum, maximum and deciles are whole numbers.
func whole(n *dataset.NumberSummary) bool {
	return !slices.ContainsFunc(append([]float64{n.Min, n.Max}, n.Cuts...),
		func(x float64) bool { return x != math.Trunc(x) })
}

// typical returns a typical value as a person would say it: the most frequent level, or the
// rounded mean. If that is not valid or not known it is TypicalValue.
func typical(m *model.Model, i int) dataset.Value {
	f := &m.Schema.Features[i]
	if f.Type == dataset.Number {
		reference := m.Reference.Columns[f.Name].Numbers
		if v, problem := f.CheckNumber(roundMean(reference.Mean, reference.Std, whole(reference))); problem == nil &&
			reference.Min <= v.Number && v.Number <= reference.Max && m.Knows(i, v) {
			return v
		}
	}
	return m.TypicalValue(f)
}

// roundMean rounds a mean to a tenth of the power of ten below the deviation:
// 64.76 with a deviation of 30 to 65, 2283 with 2267 to 2300.
func roundMean(mean, std float64, whole bool) float64 {
	if !(std > 0) {
		return mean
	}
	exponent := int(math.Floor(math.Log10(std))) - 1
	if whole {
		exponent = max(exponent, 0)
	}
	if exponent >= 0 {
		step := math.Pow10(exponent)
		return math.Round(mean/step) * step
	}
	scale := math.Pow10(-exponent) // a division by it is exact where a product with 0.1 is not
	return math.Round(mean*scale) / scale
}

// cardPolicy lets a card show its own style and pictures, and do nothing else: anybody who
// can write to the folder can put a file there.
const cardPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; sandbox"

// bar returns the links from a page to those that are there. A link cannot send an API key: with
// keys only the first page leads to what needs one, by a script.
func (p *Predictor) bar(here webui.Place) string {
	var hidden []webui.Place
	if s := p.follower.current(); s.model == nil || !p.follower.reg.HasCard(s.name) {
		hidden = append(hidden, webui.Card)
	}
	if p.Keys != nil && here != webui.Console {
		hidden = append(hidden, webui.Card, webui.Drift)
	}
	return webui.Bar(here, hidden...)
}

// answerReport answers with a page of package report. With keys it is saved to a file, which
// leads nowhere.
func (p *Predictor) answerReport(w http.ResponseWriter, r *http.Request, page []byte, here webui.Place) {
	webui.SetHeaders(w.Header(), "text/html; charset=utf-8", cardPolicy)
	if p.Keys == nil && recorderOf(r).claim.Spend(int64(len(page))) == nil {
		page = bytes.Replace(page, []byte(report.BarMark), []byte(p.bar(here)), 1)
	}
	p.send(w, r, page)
}

// card answers GET /models/NAME.html: the card of a registered model; current.html is that of
// the current one.
func (p *Predictor) card(w http.ResponseWriter, r *http.Request) error {
	name := chi.URLParam(r, "file")
	if s := p.follower.current(); webui.Card == webui.Place(registry.Models+"/"+name) && s.model != nil {
		name = registry.CardName(s.name)
	}
	if !strings.HasSuffix(name, ".html") {
		notFound(w, r)
		return nil
	}
	if err := p.readList(r, registry.MaxCardBytes); err != nil {
		return err
	}
	text, err := p.follower.reg.ReadCard(name)
	switch {
	case errors.Is(err, registry.ErrNoCard):
		return &problem{status: http.StatusNotFound,
			text: "no such card: evaluate writes one beside each model that it registers; /models has their names"}
	case err != nil:
		return unreadable("the card cannot be read: the service's log says why", "card not read", err)
	}
	p.answerReport(w, r, text, webui.Card)
	return nil
}

func unreadable(text, event string, err error) error {
	return &problem{http.StatusServiceUnavailable, text, event, err}
}

// send answers with a text that seldom changes, packed if there is memory for it.
func (p *Predictor) send(w http.ResponseWriter, r *http.Request, text []byte) {
	if h := w.Header(); h["Content-Type"] == nil {
		h["Content-Type"] = jsonHeader
	}
	webui.Send(w, r, text, func() []byte {
		if recorderOf(r).claim.Spend(webui.PackBytes+int64(len(text))) != nil {
			return nil
		}
		return webui.Pack(text)
	})
}

// models answers GET /models: metadata.json as it is.
func (p *Predictor) models(w http.ResponseWriter, r *http.Request) error {
	if err := p.readList(r, 0); err != nil {
		return err
	}
	entries, err := p.follower.reg.Entries()
	if err != nil {
		return unreadable("the registry cannot be read", "models not listed", err)
	}
	p.send(w, r, append(marshal(entries), '\n'))
	return nil
}

// modelHistory answers GET /models/history: when each model was current, and which have a card.
func (p *Predictor) modelHistory(w http.ResponseWriter, r *http.Request) error {
	const copies = 6 // the file, its changes, the spans and the response, whose names are quoted
	if err := p.readList(r, copies*p.follower.reg.HistoryBytes()); err != nil {
		return err
	}
	spans, err := p.follower.reg.Spans()
	entries, errList := p.follower.reg.Entries()
	if err = errors.Join(err, errList); err != nil {
		return unreadable("the registry cannot be read: the service's log says why", "history not read", err)
	}
	history := struct {
		Current []registry.Span `json:"current"`
		Cards   []string        `json:"cards"` // paths
	}{Current: spans}
	for _, e := range entries {
		if p.follower.reg.HasCard(e.ModelFile) {
			history.Cards = append(history.Cards, registry.Models+"/"+registry.CardName(e.ModelFile))
		}
	}
	answerJSON(w, http.StatusOK, history)
	return nil
}

// readList takes the memory of the list of models and of so many bytes more, until the response is
// written: a client may read it slowly.
func (p *Predictor) readList(r *http.Request, more int64) error {
	const copies = 4 // the file, its parts, the entries and the response
	return recorderOf(r).claim.Spend(copies*p.follower.reg.ListBytes() + more)
}

// A liveDrift is the response of GET /drift.
type liveDrift struct {
	CurrentModel string         `json:"current_model"`
	Verdict      drift.Severity `json:"verdict"`  // ok, watch, alert, not_enough_data or off
	Rows         int            `json:"rows"`     // that were compared
	MinRows      int            `json:"min_rows"` // fewer give no verdict
	Window       int            `json:"window"`   // maximum of rows; 0: none
	Checks       []drift.Check  `json:"checks"`
}

// liveDrift answers GET /drift: whether the last rows that the current model scored differ
// from its training rows.
func (p *Predictor) liveDrift(w http.ResponseWriter, _ *http.Request, s *snapshot) error {
	found := s.metrics.window.compare()
	answerJSON(w, http.StatusOK,
		liveDrift{s.name, found.Verdict, found.Records, drift.MinRows, p.limits.DriftRows, found.Checks})
	return nil
}

// driftPage answers GET /drift.html: the page of the drift program, of the same rows as
// GET /drift.
func (p *Predictor) driftPage(w http.ResponseWriter, r *http.Request, s *snapshot) error {
	const each = 128 << 10 // bytes of a column's drawing, and what makes it
	if err := recorderOf(r).claim.Spend(int64(each * (2 + len(s.model.Schema.Features)))); err != nil {
		return err
	}
	result := s.metrics.window.compare()
	result.Model = s.name
	page, err := report.DriftPage(&result)
	if err != nil {
		return &problem{http.StatusInternalServerError, "Internal Server Error", "drift not drawn", err}
	}
	p.answerReport(w, r, page, webui.Drift)
	return nil
}

// openapi answers GET /openapi.json.
func (p *Predictor) openapi(w http.ResponseWriter, r *http.Request, s *snapshot) error {
	text, err := s.openapi()
	if err != nil { // no model that loads is known to cause it
		event := "no OpenAPI document of " + s.name
		return &problem{http.StatusInternalServerError, "Internal Server Error", event, err}
	}
	p.send(w, r, text)
	return nil
}
