package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/bits"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A dialect is what differs between engines: how to connect, what errors mean, and parts
// of queries, in which a %s stands for an expression. One file has one dialect.
type dialect struct {
	scheme string // of a URL

	check func(u *url.URL, parameters url.Values) error // rejects a URL that lacks something
	// open connects. It returns what is secret of where it looked besides the URL.
	open func(ctx context.Context, o Options, u *url.URL) (db *sql.DB, secrets []string, err error)
	// lost reports whether repeating may help: the query is not at fault.
	lost func(error) bool
	// overran reports whether the server ended a query because of a time limit or a cancellation.
	overran func(error) bool
	// explain returns what to do about an error, or "", and the engine's own words.
	explain func(error) (advice, words string)

	foldsNames bool // a column's name may be written with other capitals

	describe string // the columns of a table: name, type, whether it is an enumeration
	double   string // the type of floating-point numbers
	text     string // a cell as text that is compared by its bytes, whatever the column's collation says

	keyHash string // a 64-bit hash of a text, with a seed, %[2]d, a signed 64-bit number
	hashSum string // the sum of such hashes, as a text
	decimal string // whether a text is a plain decimal, as plainDecimal has it

	singleText string // a floating-point number of 32 bits as text, with all its digits
	wideNumber string // a numeric as a number: a cast, %[2]s, of one beyond the range is an error

	lateral string // rows out of expressions of one row: of lists of tuples, or with arrays of a list a column
	arrays  bool
	most    int // that an array may have; several of them are put together by ||
	pairs   int // of blocks in one query: the engine compiles each

	// fence is a column that keeps the engine from putting a subquery's expressions
	// in the place of its columns, where each would be computed once a use.
	fence string

	columns int // that one query may have
}

// dialects are the engines by the scheme of their URLs.
var dialects = map[string]*dialect{"postgres": postgresDialect, "postgresql": postgresDialect, "trino": trinoDialect}

const plainDecimal = `^-?[0-9]{1,15}(\.[0-9]{1,15})?$`

// quoteName returns a column's or a table's name as SQL has it, whatever is in it.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteText returns a text as SQL has it.
func quoteText(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// number returns a number as SQL has it, to the last bit.
func (d *dialect) number(x float64) string {
	text := strconv.FormatFloat(x, 'e', -1, 64)
	if math.IsInf(x, 0) {
		text = strings.Replace(text[:1], "+", "", 1) + "Infinity" // Trino does not know +Inf
	}
	return d.double + " '" + text + "'"
}

func (d *dialect) asDouble(sql string) string { return fmt.Sprintf("CAST(%s AS %s)", sql, d.double) }
func (d *dialect) asText(sql string) string   { return "(" + fmt.Sprintf(d.text, sql) + ")" }

// fenced adds the fence to columns of a subquery, under a name of its own.
func (d *dialect) fenced(columns []string, name string) []string {
	if d.fence == "" {
		return columns
	}
	return append(columns, d.fence+" AS "+name)
}

// unpivot returns a join that makes of each row one row a tuple, with such columns.
func (d *dialect) unpivot(tuples [][]string, alias string, columns ...string) string {
	var lists []string
	if d.arrays {
		for k := range columns {
			var arrays []string
			for some := range slices.Chunk(tuples, d.most) {
				cells := make([]string, len(some))
				for i, t := range some {
					cells[i] = t[k]
				}
				arrays = append(arrays, "ARRAY["+strings.Join(cells, ", ")+"]")
			}
			lists = append(lists, strings.Join(arrays, " || "))
		}
	} else {
		for _, t := range tuples {
			lists = append(lists, "("+strings.Join(t, ", ")+")")
		}
	}
	return fmt.Sprintf("CROSS JOIN "+d.lateral+" AS %s(%s)", strings.Join(lists, ", "), alias, strings.Join(columns, ", "))
}

// bound returns where a share of all 64-bit hashes ends, the smallest first. A
// share of 1 has no such place: it is false.
func bound(share float64) (sql string, ok bool) {
	if share >= 1 {
		return "", false
	}
	whole, _ := math.Modf(math.Ldexp(share, 32))
	low := math.Ldexp(share, 32) - whole
	at, _ := bits.Add64(uint64(whole)<<32+uint64(math.Ldexp(low, 32)), 1<<63, 0) // hashes have a sign
	return fmt.Sprintf("bigint '%d'", int64(at)), true
}
