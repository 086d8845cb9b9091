// Package redact removes secrets from texts that may quote them, such as errors of
// drivers and answers of servers.
package redact

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const maxRunes = 300 // of a text: a proxy may answer with a whole page

// Line returns text as one printable line of limited length. Each secret in it, as it
// is or in an encoding of URLs or Go strings, is replaced by "(hidden)".
func Line(text string, secrets []string) string {
	var forms []string
	for _, secret := range secrets {
		if secret != "" {
			quoted := strconv.Quote(secret)
			forms = append(forms, secret, quoted[1:len(quoted)-1], url.QueryEscape(secret), url.PathEscape(secret),
				strings.TrimPrefix(url.UserPassword("", secret).String(), ":"))
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) }) // one may contain another
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, "(hidden)")
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	line := []rune(strings.Join(strings.Fields(text), " "))
	for i, r := range line {
		if !unicode.IsPrint(r) {
			line[i] = unicode.ReplacementChar // it could move a terminal's cursor
		}
	}
	if len(line) > maxRunes {
		line = append(line[:maxRunes], '…')
	}
	return string(line)
}

// URLSecrets returns the secrets of the URL u, which was parsed from the text raw, both
// decoded and as written: the password, and the values of all parameters but the public
// ones, whose names are in lower case.
func URLSecrets(raw string, u *url.URL, public ...string) []string {
	var secrets []string
	if password, ok := u.User.Password(); ok {
		_, written, _ := strings.Cut(raw, "//")
		written, _, _ = strings.Cut(written, "@")
		_, written, _ = strings.Cut(written, ":")
		secrets = append(secrets, password, written)
	}
	for parameter := range strings.SplitSeq(u.RawQuery, "&") {
		name, written, _ := strings.Cut(parameter, "=")
		name, _ = url.QueryUnescape(name)
		if !slices.Contains(public, strings.ToLower(name)) {
			value, _ := url.QueryUnescape(written)
			secrets = append(secrets, value, written)
		}
	}
	return secrets
}
