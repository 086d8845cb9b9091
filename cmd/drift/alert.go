package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"churn/internal/alert"
	"churn/internal/atomicfile"
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
	state    string // folder of alerts.jsonl; "" for logs
}

func (o *alertOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	// The environment is not the default: help would print it, and it may hold a password.
	f.StringVar(&o.url, "alert-url", "", "`address` to notify of drift and of its end; default MONITORING_URL")
	f.StringVar(&o.format, "alert-format", alert.Webhook, "`webhook` or alertmanager, whose address may be its base")
	f.StringToStringVar(&o.labels, "alert-label", nil, "`name=value` to add to Alertmanager's labels; repeatable")
	f.Lookup("alert-label").DefValue = "" // not "[]"
	f.DurationVar(&o.timeout, "alert-timeout", 10*time.Second, "`time` for delivery, retries included")
	f.StringVar(&o.state, "state", "", "`folder` of alerts.jsonl, the memory of what was notified (default DIR/logs)")
	f.DurationVar(&o.cooldown, "alert-cooldown", time.Hour, "least `time` between notifications of the same drift")
}

// labelName is the form of a label's name in Alertmanager.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func (o *alertOptions) check() error {
	switch {
	case o.format != alert.Webhook && o.format != alert.Alertmanager:
		return fmt.Errorf("--alert-format %q: %s or %s", o.format, alert.Webhook, alert.Alertmanager)
	case o.timeout <= 0:
		return fmt.Errorf("--alert-timeout %v: above 0", o.timeout)
	case o.cooldown < 0:
		return fmt.Errorf("--alert-cooldown %v: at least 0", o.cooldown)
	case len(o.labels) > 0 && o.format != alert.Alertmanager:
		return errors.New("--alert-label: only Alertmanager has labels: add --alert-format alertmanager")
	}
	for name, value := range o.labels {
		if name == "column" || name == "check" {
			return fmt.Errorf("--alert-label %q: each alert has its own %s: take another name", name+"="+value, name)
		}
		if !labelName.MatchString(name) || value == "" {
			return fmt.Errorf("--alert-label %q: want name=value, the name of letters, digits and _", name+"="+value)
		}
	}
	return nil
}

// sender returns what notifies the address, nil without one. Its errors do not quote
// the address, which may hold a password.
func (o *alertOptions) sender(dir string) (*alert.Sender, error) {
	if o.url == "" {
		return nil, nil
	}
	u, err := url.Parse(strings.TrimSpace(o.url))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("--alert-url or MONITORING_URL: not an address: want http:// or https:// and a host")
	}
	token, err := cli.Secret("MONITORING_TOKEN")
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("MONITORING_TOKEN: has a character that a token must not have")
	}
	path := filepath.Join(cmp.Or(o.state, filepath.Join(dir, "logs")), "alerts.jsonl")
	f, err := atomicfile.Create(path, 0o666)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EROFS) ||
		errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%w: without it every run would notify again: name a folder for it with --state", err)
	}
	if err == nil {
		f.Abort()
	} // else it may be possible later, and an alert twice is better than none
	return &alert.Sender{
		URL: u, Token: token, Format: o.format, Labels: o.labels, Cooldown: o.cooldown, Timeout: o.timeout,
		Path: path, Now: time.Now,
	}, nil
}

// send delivers what alerts. A failure is a warning: the status answers whether there
// is drift, not whether anybody was notified.
func (r *result) send(cmd *cobra.Command, s *alert.Sender) {
	if s == nil {
		return
	}
	without := slices.Clone(r.TooFew) // columns without enough data
	if r.Quality == nil || r.Quality.Labelled == nil || r.Quality.Labelled.Realised == nil {
		without = append(without, drift.Outcomes)
	}
	if r.Quality == nil || !r.Quality.OwnError {
		without = append(without, drift.ExpectedQuality)
	}
	all := r.All()
	f := alert.Finding{Verdict: string(r.Verdict), Model: r.Model, Records: r.Records, Checks: r.alerts()}
	f.NotEvaluated = func(column, kind string) bool { // without a model neither its probability nor pairs are compared
		_, with, _ := strings.Cut(kind, drift.Correlation+" with ")
		lacks := r.Model == "" || slices.Contains(without, column) || slices.Contains(without, with)
		made := func(c drift.Check) bool { return c.Column == column && c.Title() == kind }
		return lacks && !slices.ContainsFunc(all, made)
	}
	log.SetOutput(io.Discard) // net/http logs what a server sends out of turn, which may quote the token
	r.Alert = new(s.Notify(cmd.Context(), f))
	cli.Warn(cmd, r.Alert.Warnings...)
}
