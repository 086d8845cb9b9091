package sqldata

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const maxWords = 300 // runes of what a server says: a proxy may answer with a page

// failed returns an error in plain words, and in the engine's without what is secret.
func (e *Engine) failed(what string, err error) error {
	var own fromRow
	if errors.As(err, &own) {
		return described{what + ": " + e.hide(own.Error()), own.error}
	}
	advice, words := e.explain(err)
	words = e.hide(words)
	if advice == "" {
		return described{what + ": " + words, err}
	}
	return described{what + ": " + advice + ": " + words, err}
}

// described is an error in other words.
type described struct {
	text string
	err  error
}

func (d described) Error() string { return d.text }
func (d described) Unwrap() error { return d.err }

// hide makes one line of a text, and takes whatever is secret out of it, in each
// form that a driver may have brought it into.
func (e *Engine) hide(text string) string {
	var forms []string
	for _, secret := range e.secrets {
		if secret == "" {
			continue
		}
		quoted := strconv.Quote(secret)
		forms = append(forms, secret, quoted[1:len(quoted)-1], url.QueryEscape(secret), url.PathEscape(secret),
			strings.TrimPrefix(url.UserPassword("", secret).String(), ":"))
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) }) // one may be part of another
	for _, form := range slices.Compact(forms) {
		text = strings.ReplaceAll(text, form, "(hidden)")
	}
	line := []rune(strings.Join(strings.Fields(text), " "))
	for i, r := range line {
		if !unicode.IsPrint(r) {
			line[i] = unicode.ReplacementChar // it could move a terminal's cursor
		}
	}
	if len(line) > maxWords {
		line = append(line[:maxWords], '…')
	}
	return string(line)
}

// Words that both engines need.
const (
	adviceNobody     = "nobody answers there: check host and port of --from, and that the server runs"
	adviceName       = "there is no host of that name: check --from"
	adviceTLS        = "TLS with the server failed: check its certificate and the parameters of --from"
	adviceTable      = "there is no such table: check --table"
	adviceColumn     = "there is no such column: check its name against the table's"
	adviceDenied     = "this user may not read it: have SELECT on the table granted"
	adviceStopped    = "the server stopped the query: it has a time limit of its own, or somebody cancelled it"
	adviceConnection = "the connection was lost: run it again when the server is there"
)

// explainNet is about errors of connections, which no server has sent.
func explainNet(err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return adviceName
	case errors.As(err, &certificate), errors.As(err, &header), errors.Is(err, http.ErrSchemeMismatch):
		return adviceTLS
	case errors.As(err, &op) && op.Op == "dial", errors.Is(err, context.DeadlineExceeded):
		return adviceNobody
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return adviceConnection
	}
	return ""
}
