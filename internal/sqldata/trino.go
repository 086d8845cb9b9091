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

	"churn/internal/sqlterms"

	"github.com/trinodb/trino-go-client/trino"
)

const trinoForm = "trino://USER@HOST:PORT/CATALOG/SCHEMA"

// trinoDialect is for Trino.
var trinoDialect = &dialect{
	Dialect: sqlterms.Trino,
	scheme:  "trino", urlForm: trinoForm,
	publicParameters: []string{"ssl", "sslcertpath", "sslverification", "source"},
	passwordVariable: "TRINO_PASSWORD", foldsNames: true,
	open: openTrino, lost: lostTrino, overran: overranTrino, explain: explainTrino, check: checkTrino,
	describe: `SELECT column_name, data_type, false FROM %[2]sinformation_schema.columns
WHERE table_schema = %[3]s AND table_name = %[4]s ORDER BY ordinal_position`,
	keyHash:       "from_big_endian_64(xxhash64(to_utf8(concat('%[2]d:', %[1]s))))",
	hashSum:       "CAST(sum(CAST(%s AS decimal(38, 0))) AS varchar)",
	decimal:       "regexp_like(%s, '" + plainDecimal[:len(plainDecimal)-1] + `\z')`, // its $ allows a line end
	singleText:    "CASE WHEN %[1]s IS NOT NULL THEN format('%%s', %[1]s) END",       // a cast has 7 digits
	rewritesFloat: true,
	pairLimit:     60, columnLimit: 200,
	types: map[string]kind{
		"tinyint": kindNumber, "smallint": kindNumber, "integer": kindNumber, "bigint": kindNumber, "decimal": kindNumber,
		"double": kindDouble, "real": kindSingle, "varchar": kindText, "char": kindText, "boolean": kindText,
		"uuid": kindKey, "date": kindKey, "timestamp": kindKey,
	},
}

// checkTrino rejects a URL without host, user, catalog or schema.
func checkTrino(u *url.URL, parameters url.Values) error {
	catalog, schema, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	switch {
	case u.Hostname() == "":
		return errors.New("trino:// needs a host: " + trinoForm)
	case u.User.Username() == "":
		return errors.New("trino:// needs a user: " + trinoForm)
	case catalog == "" || schema == "" || strings.Contains(schema, "/"):
		return errors.New("trino:// needs a catalog and a schema: " + trinoForm)
	}
	for name := range parameters {
		switch strings.ToLower(name) {
		case "user", "password", "catalog", "schema":
			return fmt.Errorf("trino:// has its %s before the ?: trino://USER:PASSWORD@HOST:PORT/CATALOG/SCHEMA",
				strings.ToLower(name))
		}
	}
	return nil
}

// trinoConfig translates a URL into the client's terms. A password is sent over TLS only.
func trinoConfig(u *url.URL, password string, limit time.Duration) (*trino.Config, error) {
	dsn, parameters := *u, u.Query()
	if _, given := u.User.Password(); !given && password != "" {
		dsn.User = url.UserPassword(u.User.Username(), password)
	}
	password, _ = dsn.User.Password()
	dsn.Scheme = "http"
	for name, values := range parameters {
		if strings.EqualFold(name, "accessToken") { // the client would ignore other capitals
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
				return nil, errors.New("ssl: expected true or false")
			}
			if !secure && dsn.Scheme == "https" {
				return nil, errors.New("ssl=false would send the password in clear text: leave it out")
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
	retry := connectTimeout // of one HTTP request, so that a query survives a short network failure
	config.RequestRetryTimeout = &retry
	forever := 10 * 365 * 24 * time.Hour // else the client applies a limit of its own; ours is in the context
	config.QueryTimeout = &forever
	if limit > 0 {
		if config.SessionProperties == nil {
			config.SessionProperties = map[string]string{}
		}
		config.SessionProperties["query_max_run_time"] = fmt.Sprintf("%dms", milliseconds(limit))
	}
	return config, nil
}

func openTrino(ctx context.Context, o Options, u *url.URL) (session, error) {
	s := session{password: o.Password}
	config, err := trinoConfig(u, o.Password, o.QueryTimeout)
	if err != nil {
		return s, err
	}
	connector, err := trino.NewConnector(config)
	if err != nil {
		return s, err
	}
	once := 1 // waiting does not help where nobody listens
	config.RequestRetryMaxAttempts = &once
	first, err := trino.NewConnector(config)
	if err != nil {
		return s, err
	}
	probe := sql.OpenDB(first)
	defer probe.Close()
	var n int
	// Before Trino 469 a ping does not check the password.
	if err := probe.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil {
		return s, err
	}
	s.db = sql.OpenDB(connector)
	return s, nil
}

func lostTrino(err error) bool {
	var refused *trino.ErrTrino
	var answer *trino.ErrQueryFailed
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, trino.ErrQueryCancelled), errors.As(err, new(*tls.CertificateVerificationError)):
		return false
	case errors.As(err, &refused):
		return slices.Contains([]string{
			"REMOTE_TASK_ERROR", "PAGE_TRANSPORT_ERROR", "PAGE_TRANSPORT_TIMEOUT", "NO_NODES_AVAILABLE", "SERVER_STARTING_UP",
			"TOO_MANY_REQUESTS_FAILED", "REMOTE_HOST_GONE",
		}, refused.ErrorName)
	case errors.As(err, &answer):
		return answer.StatusCode == 0 || answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests
	}
	return true
}

func overranTrino(err error) bool {
	refused, ok := errors.AsType[*trino.ErrTrino](err)
	return ok && refused.ErrorName == "EXCEEDED_TIME_LIMIT"
}

// adviceTrino is what to do about an error, by its name.
var adviceTrino = map[string]string{
	"CATALOG_NOT_FOUND":       "there is no such catalog: check the one in the URL, " + trinoForm,
	"SCHEMA_NOT_FOUND":        "there is no such schema: check the one in the URL, " + trinoForm,
	"TABLE_NOT_FOUND":         adviceTable,
	"COLUMN_NOT_FOUND":        adviceColumn,
	"PERMISSION_DENIED":       adviceDenied,
	"EXCEEDED_TIME_LIMIT":     adviceStopped,
	"ADMINISTRATIVELY_KILLED": adviceStopped,
	"SERVER_STARTING_UP":      "the server is starting: run it again in a moment",
	"QUERY_QUEUE_FULL":        "the server has too many queries waiting: run it again when it has fewer",
}

func explainTrino(err error) (advice, message string) {
	var refused *trino.ErrTrino
	var answer *trino.ErrQueryFailed
	switch {
	case errors.As(err, &refused):
		return adviceTrino[refused.ErrorName], refused.Message + " (" + refused.ErrorName + ")"
	case errors.Is(err, trino.ErrQueryCancelled):
		return adviceStopped, err.Error()
	case errors.As(err, &answer) && answer.StatusCode != 0:
		message = fmt.Sprintf("%d %s: %v", answer.StatusCode, http.StatusText(answer.StatusCode), answer.Reason)
		switch code := answer.StatusCode; {
		case code == http.StatusUnauthorized:
			return adviceLogin + "TRINO_PASSWORD", message
		case code == http.StatusForbidden:
			return "the server does not let this user in: check the user of the URL", message
		case code >= 500:
			return adviceConnection, message
		}
		return "this is not how Trino answers: check host, port and ssl of the URL", message
	case errors.As(err, &answer):
		return explainNet(err), answer.Reason.Error()
	}
	return explainNet(err), err.Error()
}
