package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"churn/internal/alert"
	"churn/internal/cli"
	"churn/internal/drift"

	"github.com/spf13/cobra"
)

type alertOptions struct {
	url      string
	format   string
	labels   map[string]string
	timeout  time.Duration
	cooldown time.Duration
}

func (o *alertOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	// The environment is not the default: help would print it, and it may hold a password.
	f.StringVar(&o.url, "alert-url", "", "`address` to tell of drift and of its end; without it MONITORING_URL from the environment, if any")
	f.StringVar(&o.format, "alert-format", alert.Webhook, "what the address takes: `webhook` or alertmanager, whose address may be its base")
	f.StringToStringVar(&o.labels, "alert-label", nil, "`name=value` to add to Alertmanager's labels; repeat for more")
	f.Lookup("alert-label").DefValue = "" // not "[]"
	f.DurationVar(&o.timeout, "alert-timeout", 10*time.Second, "`time` for delivery, retries included")
	f.DurationVar(&o.cooldown, "alert-cooldown", time.Hour, "least `time` until the same drift is told again; 0: tell in every run")
}

// labelName is what Alertmanager takes for one.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// sender returns who tells of drift, nil for nobody. No error of it quotes the
// address: whatever is wrong there, it may hold a password.
func (o *alertOptions) sender(cmd *cobra.Command, dir string) (*alert.Sender, error) {
	switch {
	case o.format != alert.Webhook && o.format != alert.Alertmanager:
		return nil, fmt.Errorf("--alert-format %q: %s or %s", o.format, alert.Webhook, alert.Alertmanager)
	case o.timeout <= 0:
		return nil, fmt.Errorf("--alert-timeout %v: above 0", o.timeout)
	case o.cooldown < 0:
		return nil, fmt.Errorf("--alert-cooldown %v: at least 0", o.cooldown)
	case len(o.labels) > 0 && o.format != alert.Alertmanager:
		return nil, errors.New("--alert-label: only Alertmanager has labels: add --alert-format alertmanager")
	}
	for name, value := range o.labels {
		if !labelName.MatchString(name) || value == "" {
			return nil, fmt.Errorf("--alert-label %q: want name=value, the name of letters, digits and _", name+"="+value)
		}
	}
	text, from := o.url, "--alert-url"
	if !cmd.Flags().Changed("alert-url") {
		text, from = os.Getenv("MONITORING_URL"), "MONITORING_URL"
	}
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%s: not an address: want http:// or https://, a host, and what else there is", from)
	}
	token := strings.TrimSpace(os.Getenv("MONITORING_TOKEN"))
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("MONITORING_TOKEN: holds a character that a token may not have")
	}
	return &alert.Sender{
		URL: u, Token: token, Format: o.format, Labels: o.labels, Cooldown: o.cooldown, Timeout: o.timeout,
		Path: filepath.Join(dir, "logs", "alerts.jsonl"), Now: time.Now,
	}, nil
}

// tell delivers what was found. That it cannot is a warning: drift was looked
// for, and the status answers whether it is there.
func (r *answer) tell(cmd *cobra.Command, s *alert.Sender, o options) {
	if s == nil {
		return
	}
	f := alert.Finding{Verdict: string(r.Verdict), Model: r.Model, Records: r.Records, Unjudged: r.unjudged}
	for _, l := range r.Lab {
		if l.Alert {
			f.Checks = append(f.Checks, alert.Check{Column: l.Column, Kind: "lab_z", Value: l.Z, Threshold: o.zThreshold, Unit: "z"})
		}
	}
	for _, c := range r.Checks {
		if c.Level == drift.Alert {
			f.Checks = append(f.Checks, alert.Check{Column: c.Column, Kind: c.Kind, Value: math.Abs(c.Effect), Threshold: c.Least, Unit: unit(c)})
		}
	}
	log.SetOutput(io.Discard) // where net/http quotes what a server says out of turn, which may be the token
	outcome := s.Tell(cmd.Context(), f)
	r.Alert = &outcome
	cli.Warn(cmd, outcome.Warnings...)
}
