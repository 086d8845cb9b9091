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
	// interval is how far apart runs may be, so that one a day, an hour late, still
	// finds its alert alive.
	interval = 25 * time.Hour

	// skew is by how much the clocks may differ. An end that is yet to come on
	// Alertmanager's clock would end nothing: it keeps the later of two such ends.
	skew = time.Minute
)

func webhookBody(m *Message) ([]byte, error) { return json.Marshal(m) }

// alertmanagerURL returns the URL of the API below a base, or the full one as it is.
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

// alertmanagerBody makes an alert of each check. Labels are its identity, so only
// what stays the same while it lasts is one: model and figures are annotations.
//
// Alertmanager forgets an alert at its end unless it is told again, which happens
// in the first run after the cooldown. The end is therefore the cooldown and the
// longest time between two runs away, and an alert dies that long after
// drift was run last.
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
			a.Annotations["description"] = fmt.Sprintf("%.3g %s, alert from %.3g, in the last %d predictions", c.Value, c.Unit, c.Threshold, m.Records)
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
