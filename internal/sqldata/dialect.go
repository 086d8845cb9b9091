package sqldata

import (
	"cmp"
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

	"churn/internal/dataset"
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

	// Hashes of a cell %[1]s, which may be NULL, with the seed %[2]s: of a text, and of numbers by their kind.
	textHash   string // "": the engine has none
	cellHashes map[kind]string

	singleText    string // a 32-bit floating-point number as text, with all its digits
	wideNumber    string // a kindNumeric as a number; %[2]s casts one within the range of a double
	rewritesFloat bool   // floating-point numbers as text look different from those in files

	pairLimit   int // pairs of groups in one query: the engine compiles code for each
	columnLimit int // columns of one query, and aggregates
	joinLimit   int // joined columns of one query, if textOf can replace the join; 0: any number
	scanLimit   int // scans that count the values of columns; instead of more, all are unpivoted
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

// A tuple is cells of rows whose values are counted.
type tuple struct {
	name, cell string // the cell in a subquery, and its expression in the rows themselves
	values     int    // about how many there are
}

// manyValues are so many that a cell is counted by itself.
const manyValues = math.MaxInt32

// counts returns a query with the columns j, x and n: how often the cell of tuple j has each of its values x.
// Cells of few values are counted together by their combinations, with a scan of the rows for each such group;
// for many groups each row of the subquery is unpivoted, which takes one scan.
func (d *dialect) counts(tuples []tuple, subquery, rows string) string {
	var with, queries []string
	groups := combine(tuples)
	for i, group := range groups {
		if len(group) == 1 {
			queries = append(queries, fmt.Sprintf("SELECT %d AS j, %s AS x, count(*) AS n %s GROUP BY 2",
				group[0], tuples[group[0]].cell, rows))
			continue
		}
		var cells, ordinals []string
		for k, j := range group {
			cells = append(cells, fmt.Sprintf("%s AS x%d", tuples[j].cell, k))
			ordinals = append(ordinals, fmt.Sprint(k+1))
			queries = append(queries,
				fmt.Sprintf("SELECT %d AS j, x%d AS x, CAST(sum(n) AS bigint) AS n FROM g%d GROUP BY 2", j, k, i))
		}
		with = append(with, fmt.Sprintf("g%d AS (SELECT %s, count(*) AS n %s GROUP BY %s)",
			i, strings.Join(cells, ", "), rows, strings.Join(ordinals, ", ")))
	}
	switch {
	case len(groups) > d.scanLimit:
		var pairs [][]string
		for j, t := range tuples {
			pairs = append(pairs, []string{fmt.Sprint(j), t.name})
		}
		return fmt.Sprintf("SELECT u.j, u.x, count(*) AS n %s %s GROUP BY u.j, u.x", subquery, d.unpivot(pairs, "j", "x"))
	case len(with) > 0:
		return "WITH " + strings.Join(with, ", ") + " " + strings.Join(queries, " UNION ALL ")
	}
	return strings.Join(queries, " UNION ALL ")
}

// combine divides tuples into groups whose combinations of values are few, and single ones.
func combine(tuples []tuple) (groups [][]int) {
	const most = 1 << 14 // combinations
	order := dataset.UpTo[int](len(tuples))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(tuples[a].values, tuples[b].values) })
	product := 1
	for _, j := range order {
		if n := max(1, tuples[j].values); len(groups) > 0 && n <= most/product {
			groups[len(groups)-1], product = append(groups[len(groups)-1], j), product*n
		} else {
			groups, product = append(groups, []int{j}), n
		}
	}
	return groups
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
	adviceTLS        = "TLS with the server failed: check its certificate, and what the URL asks for"
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
