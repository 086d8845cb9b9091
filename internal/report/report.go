// Package report writes results as HTML pages: the card of a model, and a window of the
// log against its reference. A page is one file that loads nothing and needs no script;
// its drawings are SVG.
//
// A page has no numbers of its own. It shows those of the JSON that the same command
// prints, each in an element that has the number as it is there:
//
//	<data value="0.7064220183486238">0.706</data>
package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/metric"
	"churn/internal/strictjson"
)

//go:embed *.html
var files embed.FS

// BarMark stands where the service inserts the links to its other pages. On a page that is a
// file it stays, a comment: a file does not know what is beside it.
const BarMark = "<!--bar-->"

// Base is the style sheet that all pages share, those of the service too.
//
//go:embed base.css
var Base string

//go:embed style.css
var style string

// page returns the template of a page: its own file within frame.html.
func page(name string) *template.Template {
	return template.Must(template.New("frame.html").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(Base + style) },
		"bar":   func() template.HTML { return BarMark },
		"num":   number,
		"est":   func(x float64, interval [2]float64) template.HTML { return number(x, metric.Decimals(interval)) },
		"part":  func(x float64, rows int) template.HTML { return percent(x, max(0, shareDecimals(x, rows)-2)) },
		"fit":   func(x, std float64, rows int) template.HTML { return number(x, metric.MeanDecimals(std, rows)) },
		"share": percent,
		"sig":   significant,
		"p":     pValue,
		"whole": whole,
		"date": func(rfc3339 string) template.HTML {
			return template.HTML("<time>" + template.HTMLEscapeString(rfc3339) + "</time>")
		},
		"utc":     utc,
		"odds":    odds,
		"shorten": dataset.Shorten,
		"class":   class,
		"label":   drift.Label,
		"of":      of,
		"rows":    func(n, all int) template.CSS { return of(float64(n), float64(all)) },
		"span": func(ends [2]float64, all float64) template.CSS {
			return "left:" + of(ends[0], all) + ";width:" + of(ends[1]-ends[0], all)
		},
	}).ParseFS(files, "frame.html", name))
}

// fill executes the template of a page.
func fill(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := page(name).Execute(&b, data)
	return bytes.Map(strictjson.Visible, b.Bytes()), err
}

// of returns the share of x in all for a style.
func of(x, all float64) template.CSS {
	return template.CSS(strconv.FormatFloat(100*x/max(all, math.SmallestNonzeroFloat64), 'f', 2, 64) + "%")
}

// datum is a number as shown, and as it is.
func datum(x float64, shown string) template.HTML {
	return template.HTML(fmt.Sprintf(`<data value="%s">%s</data>`, strconv.FormatFloat(x, 'g', -1, 64), shown))
}

// number shows a number with the given decimals.
func number(x float64, decimals int) template.HTML {
	return datum(x, fixed(x, decimals))
}

// fixed formats a number with the given decimals.
func fixed(x float64, decimals int) string {
	shown := strconv.FormatFloat(x, 'f', decimals, 64)
	if strings.Trim(shown, "-0.") == "" {
		return strings.TrimPrefix(shown, "-") // not −0.00
	}
	return minus(shown)
}

// shareDecimals is metric.Decimals of a share of so many rows; of none or all of them, that of one row.
func shareDecimals(share float64, rows int) int {
	variance := max(share*(1-share), 1/float64(max(rows, 1)))
	return metric.MeanDecimals(math.Sqrt(variance), rows)
}

// percent shows a share as a percentage with the given decimals.
func percent(x float64, decimals int) template.HTML {
	return datum(x, fixed(100*x, decimals)+" %")
}

// significant shows a number with at most the given significant digits.
func significant(x float64, digits int) template.HTML {
	if size := math.Abs(x); size != 0 && (size < 1e-4 || size >= 1e9) {
		return datum(x, minus(strconv.FormatFloat(x, 'g', digits, 64)))
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64)
	return datum(x, grouped(strconv.FormatFloat(rounded, 'f', -1, 64)))
}

// pValue shows a p-value with two digits; small ones as a bound.
func pValue(p float64) template.HTML {
	const least = 1e-4
	if p < least {
		return datum(p, "&lt; 0.0001")
	}
	return datum(p, strconv.FormatFloat(p, 'g', 2, 64))
}

// whole shows a count.
func whole(n int) template.HTML {
	return datum(float64(n), grouped(strconv.Itoa(n)))
}

// grouped separates the thousands of a number's text.
func grouped(text string) string {
	whole, rest, fraction := strings.Cut(text, ".")
	if fraction {
		rest = "." + rest
	}
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return minus(whole + rest)
}

// minus replaces a leading hyphen by a minus sign.
func minus(shown string) string {
	if len(shown) > 0 && shown[0] == '-' {
		return "−" + shown[1:]
	}
	return shown
}
