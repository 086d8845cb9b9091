package sqldata

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/trinodb/trino-go-client/trino"
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

func lostPostgres(err error) bool {
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case !errors.As(err, &pg):
		return true
	}
	return strings.HasPrefix(pg.Code, "08") || slices.Contains([]string{"57P01", "57P02", "57P03"}, pg.Code)
}

func overranPostgres(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "57014"
}

// advicePostgres says what to do, by SQLSTATE.
var advicePostgres = map[string]string{
	"28P01": "the user or the password is wrong: check both in --from, and where no password is in it PGPASSWORD and ~/.pgpass",
	"28000": "the server does not let this user in: check the user of --from, its sslmode, and the server's pg_hba.conf",
	"3D000": "there is no such database: check the end of --from",
	"3F000": "there is no such schema: check --table",
	"42P01": adviceTable,
	"42703": adviceColumn,
	"42501": adviceDenied,
	"57014": adviceStopped,
	"57P01": adviceConnection,
	"57P02": adviceConnection,
	"57P03": "the server is starting or stopping: run it again in a moment",
	"53300": "the server has no connection left: run it again when others have ended theirs",
	"25006": "only reading is allowed",
}

func explainPostgres(err error) (advice, words string) {
	var pg *pgconn.PgError
	var config *pgconn.ParseConfigError
	switch {
	case errors.As(err, &pg):
		words = pg.Message
		if pg.Hint != "" {
			words += " (" + pg.Hint + ")"
		}
		return advicePostgres[pg.Code], words + " (SQLSTATE " + pg.Code + ")"
	case errors.As(err, &config):
		text := config.Error()
		return "--from, or a PG variable of the environment, is not what PostgreSQL's drivers take", text[strings.LastIndex(text, "`: ")+len("`: "):]
	}
	return explainNet(err), err.Error()
}

func lostTrino(err error) bool {
	var refused *trino.ErrTrino
	var answer *trino.ErrQueryFailed
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, trino.ErrQueryCancelled), errors.As(err, &certificate):
		return false
	case errors.As(err, &refused):
		return slices.Contains([]string{"REMOTE_TASK_ERROR", "PAGE_TRANSPORT_ERROR", "PAGE_TRANSPORT_TIMEOUT", "NO_NODES_AVAILABLE",
			"SERVER_STARTING_UP", "TOO_MANY_REQUESTS_FAILED", "REMOTE_HOST_GONE"}, refused.ErrorName)
	case errors.As(err, &answer):
		return answer.StatusCode == 0 || answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests
	}
	return true
}

func overranTrino(err error) bool {
	var refused *trino.ErrTrino
	return errors.As(err, &refused) && refused.ErrorName == "EXCEEDED_TIME_LIMIT"
}

// adviceTrino says what to do, by the name of the error.
var adviceTrino = map[string]string{
	"CATALOG_NOT_FOUND":       "there is no such catalog: check the one in --from, trino://USER@HOST:PORT/CATALOG/SCHEMA",
	"SCHEMA_NOT_FOUND":        "there is no such schema: check the one in --from, trino://USER@HOST:PORT/CATALOG/SCHEMA",
	"TABLE_NOT_FOUND":         adviceTable,
	"COLUMN_NOT_FOUND":        adviceColumn,
	"PERMISSION_DENIED":       adviceDenied,
	"EXCEEDED_TIME_LIMIT":     adviceStopped,
	"ADMINISTRATIVELY_KILLED": adviceStopped,
	"SERVER_STARTING_UP":      "the server is starting: run it again in a moment",
	"QUERY_QUEUE_FULL":        "the server has too many queries waiting: run it again when it has fewer",
}

func explainTrino(err error) (advice, words string) {
	var refused *trino.ErrTrino
	var answer *trino.ErrQueryFailed
	switch {
	case errors.As(err, &refused):
		return adviceTrino[refused.ErrorName], refused.Message + " (" + refused.ErrorName + ")"
	case errors.Is(err, trino.ErrQueryCancelled):
		return adviceStopped, err.Error()
	case errors.As(err, &answer) && answer.StatusCode != 0:
		words = fmt.Sprintf("%d %s: %v", answer.StatusCode, http.StatusText(answer.StatusCode), answer.Reason)
		switch code := answer.StatusCode; {
		case code == http.StatusUnauthorized:
			return "the user or the password is wrong: check both in --from, and where no password is in it TRINO_PASSWORD", words
		case code == http.StatusForbidden:
			return "the server does not let this user in: check the user of --from", words
		case code >= 500:
			return adviceConnection, words
		}
		return "this is not how Trino answers: check host, port and ssl of --from", words
	case errors.As(err, &answer):
		return explainNet(err), answer.Reason.Error()
	}
	return explainNet(err), err.Error()
}
