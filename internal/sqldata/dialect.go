package sqldata

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// A dialect is what one engine says in other words than the other. The queries are
// the same for all; a %s is where an expression goes.
type dialect struct {
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

const plainDecimal = `^-?[0-9]{1,15}(\.[0-9]{1,15})?$`

var dialects = map[string]*dialect{
	"postgres": {
		describe: `WITH RECURSIVE c(n, name, type) AS (
SELECT attnum, attname, atttypid FROM pg_attribute WHERE attrelid = to_regclass(%[1]s) AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT n, name, typbasetype FROM c JOIN pg_type ON oid = type WHERE typtype = 'd')
SELECT name, typname, typtype = 'e' FROM c JOIN pg_type ON oid = type WHERE typtype <> 'd' ORDER BY n`,
		double: "double precision", text: `CAST(%s AS text) COLLATE "C"`,
		keyHash: "hashtextextended(%s, %d)", hashSum: "CAST(sum(%s) AS text)",
		decimal:    "%s ~ '" + plainDecimal + "'",
		singleText: `(CAST(%[1]s AS text) COLLATE "C")`,
		wideNumber: "CASE WHEN abs(%[1]s) >= 1.7976931348623158e308 THEN 'NaN' WHEN abs(%[1]s) <= 2.4703282292062327e-324 THEN 0 ELSE %[2]s END",
		lateral:    "LATERAL (VALUES %s)", pairs: 1000,
		fence:   "clock_timestamp()", // volatile, so a fence; unlike OFFSET 0 it leaves plans parallel
		columns: 1_600,
	},
	"trino": {
		describe: `SELECT column_name, data_type, false FROM %[2]sinformation_schema.columns
WHERE table_schema = %[3]s AND table_name = %[4]s ORDER BY ordinal_position`,
		double: "double", text: "CAST(%s AS varchar)",
		keyHash: "from_big_endian_64(xxhash64(to_utf8(concat('%[2]d:', %[1]s))))", hashSum: "CAST(sum(CAST(%s AS decimal(38, 0))) AS varchar)",
		decimal:    "regexp_like(%s, '" + plainDecimal[:len(plainDecimal)-1] + `\z')`, // its $ allows a line end
		singleText: "CASE WHEN %[1]s IS NOT NULL THEN format('%%s', %[1]s) END",       // a cast has 7 digits
		lateral:    "UNNEST(%s)", arrays: true, most: 254, pairs: 60,
		columns: 200,
	},
}

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
