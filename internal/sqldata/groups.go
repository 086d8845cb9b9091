package sqldata

import (
	"fmt"
	"strings"

	"churn/internal/sqlterms"
)

// cellLimit is the number of combinations that one query may group by.
const cellLimit = 4096

// groupLimit is the number of combinations in a group if those of all terms exceed
// cellLimit: pairs of groups then have at most cellLimit, unless one term has more.
const groupLimit = 64

// A termGroup is terms that are counted together: all their values are 1, or there is one
// term. Each row has one number for it, whose digits are the codes of the terms.
type termGroup struct {
	terms  []sqlterms.CodedTerm
	size   int  // combinations
	inline bool // values have no columns
}

// groupTerms divides terms into groups, one if all values are 1 and there are few combinations.
func groupTerms(terms []sqlterms.CodedTerm) []termGroup {
	all, most := 1, groupLimit
	for _, t := range terms {
		all = min(all*t.Size(), cellLimit+1)
	}
	if all <= cellLimit {
		most = cellLimit
	}
	var out []termGroup
	open := -1 // the group that terms whose values are 1 are added to
	for _, t := range terms {
		ones := len(t.Values) == 1
		if ones && open >= 0 && out[open].size*t.Size() <= most {
			out[open].terms, out[open].size = append(out[open].terms, t), out[open].size*t.Size()
			continue
		}
		if out = append(out, termGroup{terms: []sqlterms.CodedTerm{t}, size: t.Size()}); ones {
			open = len(out) - 1
		}
	}
	return out
}

// values returns the number of values.
func (g *termGroup) values() int { return len(g.terms[0].Values) }

// weights returns the indices of the weights of the functions that have a value where the
// group has a code.
func (g *termGroup) weights(value, code int) []int {
	var weights []int
	for _, t := range g.terms {
		if n := t.Functions[value][code%t.Size()]; n >= 0 {
			weights = append(weights, int(n))
		}
		code /= t.Size()
	}
	return weights
}

// columns returns the columns of group i: its code and, if they are not 1, the values.
func (g *termGroup) columns(i int) []string {
	code, factor := []string{}, 1
	for _, t := range g.terms {
		code, factor = append(code, fmt.Sprintf("%s * %d", t.Code, factor)), factor*t.Size()
	}
	columns := []string{strings.Join(code, " + ") + " AS " + groupName(i)}
	for k, value := range g.terms[0].Values {
		if value != "" && !g.inline {
			columns = append(columns, value+" AS "+g.value(i, k))
		}
	}
	return columns
}

// value returns a value of group i, "" for 1.
func (g *termGroup) value(i, k int) string {
	if g.values() == 1 || g.inline {
		return g.terms[0].Values[k]
	}
	return fmt.Sprintf("v%d_%d", i, k)
}

// groupName returns the column of a group's number.
func groupName(i int) string { return fmt.Sprintf("b%d", i) }
