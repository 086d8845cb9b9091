package sqldata

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// harmless are the parameters that a URL is shown and stored with. Any other may
// be a secret, or hold one.
var harmless = []string{
	"application_name", "connect_timeout", "database", "dbname", "host", "port", "service", "sslmode", "sslrootcert", "target_session_attrs", "user",
	"ssl", "sslcertpath", "sslverification", "source",
}

// parseURL reads --from. Its errors quote nothing of it but a scheme: what does
// not parse may have its password anywhere.
func parseURL(from string) (*url.URL, error) {
	u, err := url.Parse(from)
	if err != nil {
		return nil, errors.New("it is no URL: " + shape + "; characters other than letters and digits in a password are written as %XX")
	}
	d, known := dialects[u.Scheme]
	if !known {
		return nil, errors.New("it does not begin with postgres:// or trino://: " + shape)
	}
	authority, slashes := strings.CutPrefix(from[strings.Index(from, ":")+1:], "//")
	switch {
	case !slashes:
		return nil, errors.New("there is no // behind its scheme: " + shape)
	case strings.Count(authority, "@") > 1, strings.Contains(authority, "@") && u.User == nil:
		// Where the password ends would be anybody's guess, and drivers guess differently.
		return nil, errors.New("only the @ in front of the host may be written as such: in a name or a password / is %2F, ? is %3F and @ is %40")
	case strings.Contains(authority, "#"):
		return nil, errors.New("a # is written as %23")
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("what comes after its ? does not parse: NAME=VALUE, with & between two; other characters than letters and digits are written as %XX")
	}
	u.Scheme = d.scheme
	return u, d.check(u, parameters)
}

const shape = "postgres://USER@HOST/DATABASE or trino://USER@HOST:PORT/CATALOG/SCHEMA"

// shown returns a URL without what may be secret.
func shown(u *url.URL) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.User != nil {
		clean.User = url.User(u.User.Username())
	}
	parameters := u.Query()
	maps.DeleteFunc(parameters, func(name string, _ []string) bool { return !slices.Contains(harmless, strings.ToLower(name)) })
	clean.RawQuery = parameters.Encode()
	return clean.String()
}

// secretsOf returns what of a URL is secret, as it is meant and as it is written.
func secretsOf(from string, u *url.URL) []string {
	var secrets []string
	if password, ok := u.User.Password(); ok {
		_, written, _ := strings.Cut(from, "//")
		written, _, _ = strings.Cut(written, "@")
		_, written, _ = strings.Cut(written, ":")
		secrets = append(secrets, password, written)
	}
	for parameter := range strings.SplitSeq(u.RawQuery, "&") {
		name, written, _ := strings.Cut(parameter, "=")
		name, _ = url.QueryUnescape(name)
		if !slices.Contains(harmless, strings.ToLower(name)) && secretName(name) {
			value, _ := url.QueryUnescape(written)
			secrets = append(secrets, value, written)
		}
	}
	return secrets
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"pass", "token", "secret", "cred", "key"}, func(part string) bool { return strings.Contains(name, part) })
}
