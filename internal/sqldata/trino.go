package sqldata

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trinodb/trino-go-client/trino"
)

// trinoDialect is Trino.
var trinoDialect = &dialect{
	scheme: "trino", foldsNames: true,
	open: openTrino, lost: lostTrino, overran: overranTrino, explain: explainTrino, check: checkTrino,
	describe: `SELECT column_name, data_type, false FROM %[2]sinformation_schema.columns
WHERE table_schema = %[3]s AND table_name = %[4]s ORDER BY ordinal_position`,
	double: "double", text: "CAST(%s AS varchar)",
	keyHash: "from_big_endian_64(xxhash64(to_utf8(concat('%[2]d:', %[1]s))))", hashSum: "CAST(sum(CAST(%s AS decimal(38, 0))) AS varchar)",
	decimal:    "regexp_like(%s, '" + plainDecimal[:len(plainDecimal)-1] + `\z')`, // its $ allows a line end
	singleText: "CASE WHEN %[1]s IS NOT NULL THEN format('%%s', %[1]s) END",       // a cast has 7 digits
	lateral:    "UNNEST(%s)", arrays: true, most: 254, pairs: 60,
	columns: 200,
}

// checkTrino wants what Trino cannot do without.
func checkTrino(u *url.URL, parameters url.Values) error {
	catalog, schema, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	switch {
	case u.Hostname() == "":
		return errors.New("trino:// wants a host: trino://USER@HOST:PORT/CATALOG/SCHEMA")
	case u.User.Username() == "":
		return errors.New("trino:// wants a user: trino://USER@HOST:PORT/CATALOG/SCHEMA")
	case catalog == "" || schema == "" || strings.Contains(schema, "/"):
		return errors.New("trino:// wants a catalog and a schema: trino://USER@HOST:PORT/CATALOG/SCHEMA")
	}
	for name := range parameters {
		switch strings.ToLower(name) {
		case "user", "password", "catalog", "schema":
			return fmt.Errorf("trino:// has its %s in front of the ?: trino://USER:PASSWORD@HOST:PORT/CATALOG/SCHEMA", strings.ToLower(name))
		}
	}
	return nil
}

// trinoConfig translates a URL into the client's terms. A password goes over TLS alone.
func trinoConfig(u *url.URL, password string, limit time.Duration) (*trino.Config, error) {
	dsn, parameters := *u, u.Query()
	if _, given := u.User.Password(); !given && password != "" {
		dsn.User = url.UserPassword(u.User.Username(), password)
	}
	password, _ = dsn.User.Password()
	dsn.Scheme = "http"
	for name, values := range parameters {
		if strings.EqualFold(name, "accessToken") { // as others write it; the client would leave it out
			parameters.Del(name)
			parameters["accessToken"] = values
		}
	}
	if password != "" || parameters.Has("accessToken") {
		dsn.Scheme = "https"
	}
	for name, values := range parameters {
		if strings.EqualFold(name, "ssl") { // JDBC has SSL
			secure, err := strconv.ParseBool(values[0])
			if err != nil {
				return nil, errors.New("ssl is true or false")
			}
			if !secure && dsn.Scheme == "https" {
				return nil, errors.New("ssl=false would send the password readable for everybody: leave it out")
			}
			if secure {
				dsn.Scheme = "https"
			}
			parameters.Del(name)
		}
	}
	dsn.RawQuery = parameters.Encode()
	config, err := trino.ParseDSN(dsn.String())
	if err != nil {
		return nil, err
	}
	config.TimeZone = "UTC"
	retry := connectTimeout // of one HTTP request, so that a query survives a short fault
	config.RequestRetryTimeout = &retry
	forever := 10 * 365 * 24 * time.Hour // else the client has a limit of its own; the context is ours
	config.QueryTimeout = &forever
	if limit > 0 {
		if config.SessionProperties == nil {
			config.SessionProperties = map[string]string{}
		}
		config.SessionProperties["query_max_run_time"] = fmt.Sprintf("%dms", milliseconds(limit))
	}
	return config, nil
}

func openTrino(ctx context.Context, o Options, u *url.URL) (*sql.DB, []string, error) {
	secrets := []string{o.TrinoPassword}
	config, err := trinoConfig(u, o.TrinoPassword, o.QueryTimeout)
	if err != nil {
		return nil, secrets, err
	}
	connector, err := trino.NewConnector(config)
	if err != nil {
		return nil, secrets, err
	}
	once := 1 // where nobody listens now, nobody will in a moment
	config.RequestRetryMaxAttempts = &once
	first, err := trino.NewConnector(config)
	if err != nil {
		return nil, secrets, err
	}
	probe := sql.OpenDB(first)
	defer probe.Close()
	var n int
	if err := probe.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil { // a ping does not look at the password before Trino 469
		return nil, secrets, err
	}
	return sql.OpenDB(connector), secrets, nil
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
