package sqldata

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"churn/internal/sqlterms"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresDialect is for PostgreSQL and databases with its protocol and SQL.
var postgresDialect = &dialect{
	Dialect: sqlterms.Postgres,
	scheme:  "postgres", aliases: []string{"postgresql"}, urlForm: "postgres://USER@HOST/DATABASE",
	publicParameters: []string{
		"application_name", "connect_timeout", "database", "dbname", "host", "port", "service", "sslmode", "sslrootcert",
		"target_session_attrs", "user",
	},
	open: openPostgres, lost: lostPostgres, overran: overranPostgres, explain: explainPostgres,
	check: func(*url.URL, url.Values) error { return nil },
	describe: `WITH RECURSIVE c(n, name, type) AS (
SELECT attnum, attname, atttypid FROM pg_attribute
WHERE attrelid = to_regclass(%[1]s) AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT n, name, typbasetype FROM c JOIN pg_type ON oid = type WHERE typtype = 'd')
SELECT name, typname, typtype = 'e' FROM c JOIN pg_type ON oid = type WHERE typtype <> 'd' ORDER BY n`,
	unique: `SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indrelid
JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE indrelid = to_regclass(%[1]s) AND attname = %[2]s AND indisunique AND indisvalid AND indpred IS NULL
AND indnkeyatts = 1 AND (relkind = 'p' OR NOT relhassubclass)`, // a parent's index is not of its children's rows
	keyHash: "hashtextextended(%s, %d)", hashSum: "CAST(sum(%s) AS text)",
	textHash: "hashtextextended(COALESCE(%[1]s, chr(30)), %[2]s)",
	cellHashes: map[kind]string{
		kindNumber:  "hashint8extended(COALESCE(%[1]s, -9223372036854775807), %[2]s)",
		kindNumeric: "hash_numeric_extended(COALESCE(%[1]s, 'NaN'), %[2]s)",
		kindDouble:  "hashfloat8extended(COALESCE(%[1]s, '-1e37'), %[2]s)",
		kindSingle:  "hashfloat8extended(COALESCE(%[1]s, '-1e37'), %[2]s)",
	},
	decimal:    "%s ~ '" + plainDecimal + "'",
	singleText: `(CAST(%[1]s AS text) COLLATE "C")`,
	wideNumber: "CASE WHEN abs(%[1]s) >= 1.7976931348623158e308 THEN 'NaN' " +
		"WHEN abs(%[1]s) <= 2.4703282292062327e-324 THEN 0 ELSE %[2]s END",
	pairLimit: 1000, columnLimit: 800,
	joinLimit: 16, // planning 50 joins takes a second, 200 half a minute
	scanLimit: 10, // a scan and a group take a fourth of the time that unpivoting a column does
	packLimit: 1_600, textOf: "CAST(jsonb %[1]s ->> %[2]s AS %[3]s)",
	types: map[string]kind{
		"int2": kindNumber, "int4": kindNumber, "int8": kindNumber,
		"numeric": kindNumeric, "float8": kindDouble, "float4": kindSingle,
		"text": kindText, "varchar": kindText, "bpchar": kindText, "char": kindText, "name": kindText,
		"citext": kindText, "bool": kindText,
		"uuid": kindKey, "date": kindKey, "timestamp": kindKey, "timestamptz": kindKey,
	},
}

func openPostgres(ctx context.Context, o Options, _ *url.URL) (session, error) {
	_, rest, _ := strings.Cut(o.From, ":")
	config, err := pgx.ParseConfig("postgres:" + rest)
	if err != nil {
		return session{}, err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // no prepared statement, which a pooler would lose
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, connectTimeout)
	// By default the end of the context closes the connection, and the server goes on computing.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelTimeout}
	}
	s := session{password: config.Password, begin: beginPostgres(config, o.QueryTimeout), noJIT: "SET LOCAL jit = off"}
	s.db = stdlib.OpenDB(*config)
	if err := s.transact(ctx, func(*sql.Conn) error { return nil }); err != nil {
		s.db.Close()
		return s, err
	}
	return s, nil
}

// beginPostgres returns the statements that begin a read-only snapshot with the settings of
// the queries. They are of the transaction: a pooler may refuse them at start-up, and may
// give each transaction another session, with what other clients have set there. It moves
// those of the URL and the environment there too.
func beginPostgres(config *pgx.ConnConfig, limit time.Duration) string {
	settings := map[string]string{
		"transaction_read_only":       "on",
		"extra_float_digits":          "3", // a float8 as text has all its bits
		"timezone":                    "UTC",
		"datestyle":                   "ISO",                           // the same text for a key of dates everywhere
		"standard_conforming_strings": "on",                            // else a backslash in sqlterms.QuoteText is an escape
		"statement_timeout":           fmt.Sprint(milliseconds(limit)), // 0 is none
	}
	given := config.RuntimeParams
	config.RuntimeParams = map[string]string{"application_name": "churn", "client_encoding": "UTF8"}
	if options, ok := given["options"]; ok {
		delete(given, "options")
		for option := range strings.FieldsSeq(strings.ReplaceAll(options, "-c ", "-c")) {
			name, value, _ := strings.Cut(option, "=")
			if name, ok = strings.CutPrefix(name, "-c"); !ok || strings.Contains(value, `\`) {
				config.RuntimeParams["options"] = options // it may be a proxy's
				break
			}
			given[name] = value
		}
	}
	for name, value := range given {
		name = strings.ToLower(name)
		if _, ours := settings[name]; !ours && config.RuntimeParams[name] == "" {
			settings[name] = value
		}
	}
	sets := sqlterms.Texts(slices.Values(slices.Sorted(maps.Keys(settings))), func(name string) string {
		return fmt.Sprintf("set_config(%s, %s, true)", sqlterms.QuoteText(name), sqlterms.QuoteText(settings[name]))
	})
	return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path TO DEFAULT; SELECT " +
		strings.Join(sets, ", ")
}

func lostPostgres(err error) bool {
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case !errors.As(err, &pg):
		return true
	}
	again := strings.HasPrefix(pg.Code, "08") && !noTransactions(pg)
	return again || slices.Contains([]string{"57P01", "57P02", "57P03", "57P05", "40001"}, pg.Code)
}

// noTransactions reports whether a pooler lets no transaction through: PgBouncer has no code of its own.
func noTransactions(err *pgconn.PgError) bool {
	return err.Code == "08P01" && strings.Contains(err.Message, "transaction blocks not allowed")
}

func overranPostgres(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "57014"
}

// advicePostgres is what to do about an error, by SQLSTATE.
var advicePostgres = map[string]string{
	"28P01": adviceLogin + "PGPASSWORD and ~/.pgpass",
	"28000": "the server does not let this user in: check the user of the URL, its sslmode, and the server's pg_hba.conf",
	"3D000": "there is no such database: check the end of the URL",
	"3F000": "there is no such schema: check --table",
	"42P01": adviceTable,
	"42703": adviceColumn,
	"42501": adviceDenied,
	"57014": adviceStopped,
	"57P01": adviceConnection,
	"57P02": adviceConnection,
	"57P03": "the server is starting or stopping: run it again in a moment",
	"53300": "the server has no connection left: run it again when others have ended theirs",
	"57P05": adviceConnection,
	"40001": "a standby stopped the query to keep up with its primary: run it again, read from the primary, or raise " +
		"the standby's max_standby_streaming_delay",
	"25P03": adviceStopped,
	"25P04": adviceStopped,
	"25006": "only reading is allowed",
}

func explainPostgres(err error) (advice, message string) {
	var pg *pgconn.PgError
	var config *pgconn.ParseConfigError
	switch {
	case errors.As(err, &pg):
		message = pg.Message
		if pg.Hint != "" {
			message += " (" + pg.Hint + ")"
		}
		if noTransactions(pg) {
			return "this pooler (pool_mode=statement) allows no transaction, which keeps a query read-only and its rows of " +
				"one moment: name in the URL the server itself, or a pool with pool_mode=transaction or session", message
		}
		if pg.Code == "0A000" && strings.Contains(pg.Message, "cross-database") {
			advice = "--table is SCHEMA.NAME in the database of the URL: make a view of a table whose name has points in it"
		}
		return cmp.Or(advice, advicePostgres[pg.Code]), message + " (SQLSTATE " + pg.Code + ")"
	case errors.As(err, &config):
		text := config.Error()
		advice = "the URL or a PG variable of the environment is not valid for PostgreSQL's driver"
		return advice, text[strings.LastIndex(text, "`: ")+len("`: "):]
	}
	if strings.Contains(err.Error(), "server refused TLS") { // the driver has no type for it
		return adviceTLS, err.Error()
	}
	return explainNet(err), err.Error()
}
