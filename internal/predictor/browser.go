package predictor

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A browser asks for whatever page it shows, so a page from elsewhere might ask
// this service as the person before it: on their own machine, where no key is
// needed. It could not read the answer, but a prediction would be in the log; and
// if its own name led here, as names of strangers may, it could read all.
//
// So a POST that a browser says comes from another origin is refused. A service
// that only its machine can reach, and that asks for no keys, is asked by
// addresses and localhost alone, which are nobody's names, and by Hosts.

// ownPagesOnly lets a request through unless a browser sends it for a page of another origin.
func (p *Predictor) ownPagesOnly(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	for _, host := range p.Hosts {
		for _, scheme := range []string{"http://", "https://"} {
			if err := origins.AddTrustedOrigin(scheme + host); err != nil {
				panic("predictor: " + err.Error())
			}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case p.LocalOnly && !p.local(r.Host):
			refuse(w, r, http.StatusMisdirectedRequest, "this service is asked as localhost or by its address: for another name start serve with --host NAME")
		case origins.Check(r) != nil:
			refuse(w, r, http.StatusForbidden, "a browser sent this for a page of another origin: for that of a proxy start serve with --host NAME")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// local tells whether a Host header has an address, localhost, or one of Hosts.
func (p *Predictor) local(host string) bool {
	if host == "" || slices.Contains(p.Hosts, host) { // no browser leaves it out
		return true
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil { // no port
		name = strings.Trim(host, "[]")
	}
	if strings.Trim(port, "0123456789") != "" {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(p.Hosts, name)
}

// CheckHost tells whether a text can be one of Hosts.
func CheckHost(host string) error {
	return http.NewCrossOriginProtection().AddTrustedOrigin("http://" + host)
}
