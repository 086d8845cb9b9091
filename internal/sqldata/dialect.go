package sqldata

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"churn/internal/sqlterms"
)

// A dialect is all that differs between engines: how to connect, what errors mean, and
// parts of queries, in which %s is an expression. Each has a file of its own; a new one is
// added to dialects.
type dialect struct {
	*sqlterms.Dialect
	scheme           string   // of its URLs
	aliases          []string // other schemes
	urlForm          string   // shown in messages
	publicParameters []string // of a URL that is shown or stored, in lower case; others may be secret
	passwordVariable string   // of the environment; "" if the driver reads one itself

	check func(u *url.URL, parameters url.Values) error // rejects an incomplete URL
	open  func(ctx context.Context, o Options, u *url.URL) (session, error)
	// lost reports whether repeating a query may help: the query is not at fault.
	lost func(error) bool
	// overran reports whether the server ended a query because of a time limit or a cancellation.
	overran func(error) bool
	// explain returns what to do about an error, or "", and the engine's message.
	explain func(error) (advice, message string)

	foldsNames bool            // the engine may change the capitals of a column's name
	types      map[string]kind // of columns, without their parameters
	describe   string          // query for the columns of a table: name, type, whether it is an enumeration
	unique     string          // query for the number of unique indexes of column %[2]s alone; "": unknown

	keyHash string // a 64-bit hash of a text with the seed %[2]d, as a signed number
	hashSum string // the sum of such hashes, as a text
	decimal string // whether a text matches plainDecimal

	singleText    string // a 32-bit floating-point number as text, with all its digits
	wideNumber    string // a kindNumeric as a number; %[2]s casts one within the range of a double
	rewritesFloat bool   // floating-point numbers as text look different from those in files

	pairLimit   int // pairs of groups in one query: the engine compiles code for each
	columnLimit int // columns of one query, and aggregates
	joinLimit   int // joined columns of one query, if textOf can replace the join; 0: any number
	scanLimit   int // columns whose values are counted by a scan of each; more are unpivoted
	packLimit   int // columns of a subquery, beyond which those of a design are arrays; 0: any number

	textOf string // the value, of the type %[3]s, that a JSON object %[1]s has for a text
}

// dialects lists the supported engines.
var dialects = []*dialect{postgresDialect, trinoDialect}

// dialectOf returns the dialect of a URL's scheme, or nil.
func dialectOf(scheme string) *dialect {
	for _, d := range dialects {
		if d.scheme == scheme || slices.Contains(d.aliases, scheme) {
			return d
		}
	}
	return nil
}

// URLForms returns the forms of URLs that [Open] takes, for messages.
func URLForms() string {
	return strings.Join(sqlterms.Texts(slices.Values(dialects), func(d *dialect) string { return d.urlForm }), " or ")
}

// A kind is what a column's cells are, as far as cleaning is concerned. Those from
// kindText on are features, those from kindNumber on numbers.
type kind int

const (
	kindOther   kind = iota // neither number nor text
	kindKey                 // the same, but with one text for each value in every run
	kindText                // texts, and truth values, which read as true and false
	kindNumber              // whole or decimal numbers
	kindNumeric             // decimal numbers of any size
	kindDouble              // 64-bit floating-point numbers
	kindSingle              // 32-bit floating-point numbers: the text has the digits that were meant
)

const plainDecimal = `^-?[0-9]{1,15}(\.[0-9]{1,15})?$`

// unpivot returns a join u that replaces each row by one row for each tuple, with the given columns.
func (d *dialect) unpivot(tuples [][]string, columns ...string) string {
	lists := make([]string, len(columns))
	for k := range columns {
		cells := make([]string, len(tuples))
		for i, t := range tuples {
			cells[i] = t[k]
		}
		lists[k] = d.Array(cells)
	}
	return fmt.Sprintf("CROSS JOIN UNNEST(%s) AS u(%s)", strings.Join(lists, ", "), strings.Join(columns, ", "))
}

// counts returns a query with the columns j, x and n: how often cell x of each tuple (j, x) has each of its
// values in some rows. Of many tuples it is otherwise, which is the same by one scan.
func (d *dialect) counts(tuples [][]string, rows, otherwise string) string {
	if len(tuples) > d.scanLimit {
		return otherwise
	}
	count := func(t []string) string {
		return fmt.Sprintf("SELECT %s AS j, %s AS x, count(*) AS n %s GROUP BY 2", t[0], t[1], rows)
	}
	return strings.Join(sqlterms.Texts(slices.Values(tuples), count), " UNION ALL ")
}

// bound returns the hash below which a share of all 64-bit hashes lie, as SQL; a share
// of 1 has none.
func bound(share float64) (sql string, ok bool) {
	if share >= 1 {
		return "", false
	}
	whole, _ := math.Modf(math.Ldexp(share, 32))
	low := math.Ldexp(share, 32) - whole
	at, _ := bits.Add64(uint64(whole)<<32+uint64(math.Ldexp(low, 32)), 1<<63, 0) // hashes have a sign
	return fmt.Sprintf("bigint '%d'", int64(at)), true
}

// What to do about errors that every engine has.
const (
	adviceNoAnswer   = "no server answers there: check host and port of the URL, and that the server runs"
	adviceName       = "there is no host of that name: check the URL"
	adviceLogin      = "the user or the password is wrong: check both in the URL, or if it has no password "
	adviceTLS        = "TLS with the server failed: check its certificate and the parameters of the URL"
	adviceTable      = "there is no such table: check --table"
	adviceColumn     = "there is no such column: check its name against the table's"
	adviceDenied     = "this user may not read it: have SELECT on the table granted"
	adviceStopped    = "the server stopped the query: it has a time limit of its own, or it was cancelled"
	adviceConnection = "the connection was lost: run it again when the server is there"
)

// explainNet returns what to do about an error of a connection, or "".
func explainNet(err error) string {
	var op *net.OpError
	switch {
	case errors.As(err, new(*net.DNSError)):
		return adviceName
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(tls.RecordHeaderError)),
		errors.Is(err, http.ErrSchemeMismatch):
		return adviceTLS
	case errors.As(err, &op) && op.Op == "dial", errors.Is(err, context.DeadlineExceeded):
		return adviceNoAnswer
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return adviceConnection
	}
	return ""
}
