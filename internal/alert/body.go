package alert

import (
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// interval is the longest time between two runs: one a day, an hour late, still
	// finds its alert active.
	interval = 25 * time.Hour

	// skew is the largest difference between the clocks. An end in the future of
	// Alertmanager's clock would not resolve an alert: it keeps the later of two such ends.
	skew = time.Minute
)

// alertmanagerURL returns the URL of the API; base may have its path already.
func alertmanagerURL(base *url.URL) *url.URL {
	const api = "/api/v2/alerts"
	u := *base
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), api) + api
	u.RawPath = ""
	return &u
}

// postable is an alert as Alertmanager's API v2 takes it:
// https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml.
type postable struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// alertmanagerBody makes an alert of each check. Labels identify an alert, so only what
// stays the same while it lasts is a label: model and values are annotations.
//
// Alertmanager drops an alert at its end unless it is sent again, which happens in the
// first run after the cooldown. The end is therefore the cooldown and the longest time
// between two runs away, and an alert expires that long after the last run of drift.
func (s *Sender) alertmanagerBody(m *Message) ([]byte, error) {
	ends := s.now().Add(s.Cooldown + interval)
	alerts := make([]postable, 0, len(m.Checks))
	for _, c := range m.Checks {
		labels := map[string]string{"alertname": "ChurnDrift", "column": c.Column, "check": c.Kind, "severity": "warning"}
		maps.Copy(labels, s.Labels)
		a := postable{Labels: labels, StartsAt: c.Since, EndsAt: ends, Annotations: map[string]string{
			"summary": fmt.Sprintf("Drift of %s (%s)", c.Column, c.Kind),
			"records": strconv.Itoa(m.Records),
		}}
		if m.Model != "" {
			a.Annotations["model"] = m.Model
		}
		if m.Status == Firing {
			a.Annotations["description"] = fmt.Sprintf("%.3g %s, alert from %.3g, in the last %d predictions",
				c.Value, c.Unit, c.Threshold, m.Records)
			if c.Sentence != "" {
				a.Annotations["description"] += ": " + c.Sentence
			}
		} else {
			a.Annotations["description"] = fmt.Sprintf("No drift any more in the last %d predictions", m.Records)
			a.EndsAt = m.TS.Add(-skew)
			if a.EndsAt.Before(c.Since) {
				a.EndsAt = c.Since
			}
		}
		alerts = append(alerts, a)
	}
	return json.Marshal(alerts)
}
