package hostile_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"churn/internal/testing/programs"
)

// testBadRequests sends requests that are invalid before their body.
func testBadRequests(a *attack) {
	a.begin()
	defer a.end()
	post := func(headers ...string) string {
		return "POST /predict HTTP/1.1\r\nHost: x.localhost\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
	}
	// Headers: too large, too many, invalid characters.
	big := strings.Repeat("x", 64<<10)
	a.rejected(request("GET", "/health", "", "X-Padding: "+big), 431)
	a.rejected(request("GET", "/health", "", strings.TrimSuffix(strings.Repeat("X-Many: x\r\n", 6000), "\r\n")), 431)
	a.rejected("GET /"+big+" HTTP/1.1\r\nHost: x.localhost\r\n\r\n", 431)
	a.rejected("GET "+big, 431)
	a.rejected(big+big, 400, 431)
	for _, header := range []string{"X-A: a\x00b", "X-A: a\x01b", "X-A: a\rb", "X A: b", ": b", "X-A", "X-\xff: b",
		"X-A : b", "Host: y", "X-A: a\x7f"} {
		a.rejected(request("GET", "/health", "", header), 400)
	}
	for _, host := range []string{"a\x00b", "a b", "a\rb", "a/b", "\xff", "a\x1b[2J", "a\tb", "<script>"} {
		a.rejected("GET /health HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n", 400, 421)
	}
	for _, host := range []string{"evil.example", "evil.example:8000", "127.0.0.1.evil.example"} {
		a.rejected("GET /models HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n", 421)
	}
	// the host of the URL counts
	a.rejected("GET http://evil.example/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 421)
	a.rejected("GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", 400)
	for _, version := range []string{"HTTP/2.0", "HTTP/9.9", "HTTP/0.9", "HTTP/1.1 x", "ICY", "HTTP/1.10", "http/1.1"} {
		a.rejected("GET /health "+version+"\r\nHost: x.localhost\r\nConnection: close\r\n\r\n", 400, 505)
	}
	a.rejected("GET /health\r\n\r\n", 400)
	a.rejected("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 404, 505)
	a.rejected("\r\n\r\n\r\n\r\n", 400)
	a.rejected("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, 0) // TLS
	a.rejected("\x00\xff\xfe\x80\r\n\r\n", 400)
	a.rejected("SSH-2.0-x\r\n\r\n", 400)
	a.rejected("\x80\x2e\x01\x00\x02", 400, 0)
	if got, answer := a.raw("GET /health HTTP/1.0\r\n\r\n"); len(got) != 1 || got[0] != 200 { // old but valid
		a.Errorf("HTTP/1.0: %v %s", got, answer)
	}
	for _, method := range []string{"BREW", "DELETE", "PUT", "PATCH", "TRACE", "HEAD", "CONNECT",
		strings.Repeat("A", 6_000), "get", "P~ST", "$(id)"} {
		answer := a.rejected(request(method, "/predict", ""), 405, 400)
		if strings.Contains(answer, "405") && !strings.Contains(answer, "Allow: POST, OPTIONS\r\n") {
			a.Errorf("%.20s: %s", method, answer)
		}
	}
	a.rejected(request("G(T", "/predict", ""), 400)
	a.rejected(request("G\x00T", "/predict", ""), 400)

	// Duplicate or invalid lengths of the body: at most one answer, then the connection is closed.
	const one, two = "Content-Length: 5", "Content-Length: 99"
	const chunked = "Transfer-Encoding: chunked"
	smuggled := request("GET", "/models", "") // must not be answered
	a.rejected(post(one, two)+"{}   "+smuggled, 400)
	a.rejected(post("Content-Length: 5, 99")+"{}   "+smuggled, 400)
	for _, length := range []string{"-1", "+5", "0x5", "5 5", "1e1", "99999999999999999999", "5;", "٥", "5\v"} {
		a.rejected(post("Content-Length: "+length)+"{}   "+smuggled, 400, 501)
	}
	for _, coding := range []string{"gzip", "chunked, chunked", "identity", "gzip, chunked", "chunked;x=1", "\vchunked",
		"xchunked", "chunked\r\nTransfer-Encoding: identity", "chunked\r\nTransfer-Encoding: chunked"} {
		a.rejected(post("Transfer-Encoding: "+coding)+"0\r\n\r\n"+smuggled, 400, 501)
	}
	a.rejected(post("Transfer-Encoding : chunked", one)+"0\r\n\r\n"+smuggled, 400)
	a.rejected("POST /predict HTTP/1.0\r\n"+chunked+"\r\n\r\n0\r\n\r\n"+smuggled, 400, 422)
	// Both a length and chunks: the chunks count, and what follows is not read as a request.
	a.rejected(post(one, chunked)+"0\r\n\r\n"+smuggled, 400, 422)
	a.rejected(post(chunked, "Content-Length: 400")+"0\r\n\r\n"+smuggled, 400, 422)
	for _, chunk := range []string{"-1\r\n", "0x2\r\n{}\r\n0\r\n\r\n", "2\n{}\n0\n\n", "ffffffffffffffffff\r\n",
		"2\r\n{}x\r\n0\r\n\r\n", "g\r\n", "2 \x00\r\n{}\r\n",
		"2;" + strings.Repeat("x", 64<<10) + "\r\n{}\r\n0\r\n\r\n"} {
		a.rejected(post(chunked, "Connection: close")+chunk, 400, 422)
	}
	a.rejected(post("Expect: the unexpected", "Content-Length: 2", "Connection: close")+"{}", 417)
	a.rejected(post("Content-Length: 1000", "Connection: close")+"{", 400) // the body is truncated
	a.rejected(post("Content-Length: 2", "Connection: close")+programs.GoodCustomer, 422)
	a.rejected(request("POST", "/predict", programs.GoodCustomer, "Upgrade: h2c", "HTTP2-Settings: AAMAAABk",
		"Origin: https://evil.example"), 403)

	// Pipelining is valid: as many answers as requests, in their order.
	pipelined := strings.Repeat(strings.Replace(request("POST", "/predict", programs.GoodCustomer),
		"Connection: close\r\n", "", 1), 100)
	if got, answer := a.raw(pipelined + request("GET", "/none", "")); len(got) != 101 || got[99] != 200 ||
		got[100] != 404 {
		a.Errorf("101 requests at once: %d answers, %v %.200s", len(got), got, answer)
	}

	testBadPaths(a)
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", ""} { // as a form of another site
		a.rejected(request("POST", "/predict", programs.GoodCustomer, "Content-Type: "+kind, "Origin: https://evil.example",
			"Sec-Fetch-Site: cross-site"), 403)
	}
	a.checkHealthy()
}

// testBadPaths requests files outside the served folders.
func testBadPaths(a *attack) {
	secret := "a secret of the machine"
	programs.WriteFile(a.T, a.Path("secret.html"), secret)
	up := []string{"..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%00", "%c0%ae%c0%ae", "..;", "%uff0e%uff0e", "...."}
	slash := []string{"/", "%2f", "%5c", `\`, "%252f", "//", "/./", "%c0%af"}
	for _, folder := range []string{"/models/", "/docs/", "/page/", "/v2/models/"} {
		for _, u := range up {
			for _, s := range slash {
				for _, file := range []string{"secret.html", "etc" + s + "passwd", "registry" + s + "current_model.txt"} {
					answer := a.rejected(request("GET", folder+u+s+file, ""), 400, 404, 405)
					b := strings.ToLower(answer)
					if strings.Contains(b, secret) || strings.Contains(b, "root:") || strings.Contains(b, strings.ToLower(a.Dir)) {
						a.Errorf("%s%s%s%s: %s", folder, u, s, file, answer)
					}
				}
			}
		}
	}
	for _, path := range []string{"/models/%00", "/models/a%00.html", "/models/a%0d%0aX-Injected:%20yes.html",
		"/models/.html", "/models/-.html", "/models/con.html", "/models/a%2fb.html",
		"/models/" + strings.Repeat("a", 6_000) + ".html", "/models/" + strings.Repeat("../", 2_000) + "etc/passwd.html",
		"/models/%", "/models/%zz", "/models/%ff.html", "/models/a:b.html",
		"/models//etc/passwd", "//etc/passwd", "/../../etc/passwd", "/models/current/../../secret.html",
		"/models/file:%2f%2f%2fetc%2fpasswd", "/models/" + strings.Repeat("%2e%2e%2f", 500) + "etc%2fpasswd.html",
		"/v2/models/churn%0d%0aX-Injected:%20yes", "/v2/models/churn%00",
		"/v2/models/churn/versions/..%2f..%2fetc%2fpasswd", "/v2/models/%ff%fe", "/docs/%2e%2e%2fdocs.go",
		"/page/..%2fpage.go", "/debug/pprof/", "/.env", "/registry/metadata.json", "/logs/predictions.log"} {
		answer := a.rejected(request("GET", path, ""), 400, 404)
		if strings.Contains(answer, "\r\nX-Injected") || strings.Contains(answer, "root:") {
			a.Errorf("%.60s: %s", path, answer)
		}
	}
}

// testBadBodies sends bodies that are too large, too deep, or not JSON.
func testBadBodies(a *attack) {
	a.begin("--batch-bytes", "2000000", "--batch-rows", "100")
	defer a.end()
	before := len(a.records())
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Write(bytes.Repeat([]byte(" "), 100<<20))
	zip.Close()
	// status of an invalid body
	endpoints := map[string]int{"/predict": 422, "/predict/batch": 422, "/what-if": 422, "/invocations": 400,
		"/v2/models/churn/infer": 400}
	for path, fault := range endpoints {
		post := func(body string, statuses ...int) { a.Helper(); a.rejected(request("POST", path, body), statuses...) }
		for _, open := range []string{"[", `{"a":`, `[{"a":`, `{"tenure_months":[`, `{"inputs":[`, `{"instances":[`} {
			post(strings.Repeat(open, 100_000/len(open)), fault)
			post(strings.Repeat(open, 9_999/len(open)*len(open)), fault, 413)
		}
		post(strings.Repeat("[", 9_000)+strings.Repeat("]", 9_000), fault)
		for _, number := range []string{"1e400", "-1e400", "1e999999999", strings.Repeat("9", 100_000), "NaN", "Infinity",
			"0x10", "01", "+1", "1.", ".5", "1_0", "9007199254740993000", "-0.5", "1e5", "1,5"} {
			post(programs.With("6,", number+","), fault)
			post("["+programs.With("6,", number+",")+"]", fault)
			post(`{"instances":[`+programs.With("6,", number+",")+`]}`, fault)
		}
		for _, text := range []string{strings.Repeat("x", 1001), strings.Repeat("é", 501), `\ud800`, `\udc00\ud800`, "\xff",
			"\xc0\xaf", "\xed\xa0\x80", "\x00", "a\nb", `\x41`, `\u12`, strings.Repeat(`\u0085`, 600), "\xf4\x90\x80\x80"} {
			post(programs.With(`"NA"`, `"`+text+`"`), fault)
			post("["+programs.With(`"NA"`, `"`+text+`"`)+"]", fault)
		}
		for _, body := range []string{programs.With("{", `{"region":"EU",`), programs.With("{", `{"regi\u006fn":"EU",`),
			programs.With("{", `{"":1,`), programs.With("{", `{"__proto__":{},"constructor":1,`),
			programs.With("{", `{"request_id":{"$ne":1},`),
			programs.With("{", `{"`+strings.Repeat("k", 100_000)+`":1,`), programs.With("21.5,", "true,x"),
			programs.With(":6,", ":{},"), programs.GoodCustomer + programs.GoodCustomer, programs.GoodCustomer[:60],
			"\xef\xbb\xbf\xef\xbb\xbf" + programs.GoodCustomer, "\xff\xfe{\x00}\x00", "null", "true", `"x"`, "7", "{", "}", "//",
			"<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]>",
			"' OR 1=1 --", "${jndi:ldap://127.0.0.1/x}", "!!python/object/apply:os.system", "\x80\x04\x95"} {
			if path == "/predict/batch" && body == programs.GoodCustomer+programs.GoodCustomer {
				continue // valid as NDJSON
			}
			post(body, fault)
		}
		many := "{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 100_000), ",") + "}"
		post(many, fault)
		post("{"+func() string { // different unknown names
			var b strings.Builder
			for i := range 50_000 {
				fmt.Fprintf(&b, `"k%d":1,`, i)
			}
			return b.String()
		}()+`"z":1}`, fault, 413)
		a.rejected(request("POST", path, strings.Repeat(" ", 2_000_001)), 413)
		a.rejected("POST "+path+
			" HTTP/1.1\r\nHost: x.localhost\r\nConnection: close\r\nContent-Length: 9000000000000000000\r\n\r\n{", 413)
		a.rejected(request("POST", path, packed.String(), "Content-Encoding: gzip"), 413)
		a.rejected(request("POST", path, programs.GoodCustomer, "Content-Encoding: br"), 415)
		for _, kind := range []string{"text/plain", "application/xml", "multipart/form-data; boundary=x",
			"application/json; charset=\x01", "a/b/c", ";", "application/python-pickle", strings.Repeat("x", 6_000)} {
			a.rejected(request("POST", path, programs.GoodCustomer, "Content-Type: "+kind), 400, 415, 422)
		}
		// An endless body is cut off at the limit.
		a.rejected(endless(path), 413)
	}
	// Batches: too many rows in every format, and invalid CSV.
	rows := strings.TrimSuffix(strings.Repeat(programs.GoodCustomer+",", 101), ",")
	a.rejected(request("POST", "/predict/batch", "["+rows+"]"), 413)
	a.rejected(request("POST", "/predict/batch", strings.ReplaceAll(rows, "},", "}\n"),
		"Content-Type: application/x-ndjson"), 413)
	a.rejected(request("POST", "/invocations", `{"instances":[`+rows+`]}`), 413)
	const header = "tenure_months,num_complaints,avg_session_minutes,plan_type,region\n"
	csv := func(body string, statuses ...int) {
		a.Helper()
		a.rejected(request("POST", "/predict/batch", body, "Content-Type: text/csv"), statuses...)
	}
	csv(header+strings.Repeat("6,3,21.5,basic,NA\n", 101), 413)
	csv(strings.Repeat("a,", 500_000)+"\n", 413, 422)
	csv(header+`6,3,21.5,basic,"`+strings.Repeat("x", 1_900_000)+"\"\n", 422)
	csv(header+`6,3,21.5,basic,"`, 422)
	csv(header+"6,3,21.5,basic,N\x00A\xff\n", 422)
	csv(header+"=cmd|' /C calc'!A0,3,21.5,basic,NA\n", 422)
	csv(header+"6,3,21.5,basic\n", 422)
	csv(strings.Replace(header, "region", "plan_type", 1)+"6,3,21.5,basic,NA\n", 422)
	csv("\x00", 422)
	csv(strings.Repeat("\n", 1_000_000), 422)
	a.rejected(request("POST", "/v2/models/churn/infer",
		`{"inputs":[{"name":"tenure_months","shape":[9223372036854775807],"datatype":"INT64","data":[1]}]}`), 400)
	a.rejected(request("POST", "/v2/models/churn/infer",
		`{"inputs":[{"name":"tenure_months","shape":[-1],"datatype":"INT64","data":[1]}]}`), 400)
	a.rejected(request("POST", "/v2/models/churn/infer",
		`{"inputs":[{"name":"tenure_months","shape":[1e9],"datatype":"INT64","data":[]}]}`), 400)
	if after := len(a.records()); after != before {
		a.Errorf("%d of the invalid bodies are in the log", after-before)
	}
	a.checkHealthy()
	if got := peakMemory(a.Service); got > 200<<20 {
		a.Errorf("serve has taken %d MB", got>>20)
	}
}

// endless is a request whose chunks exceed every limit.
func endless(path string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x.localhost\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("1000\r\n"+strings.Repeat(" ", 4096)+"\r\n", 1000)
}

// control reports whether a category has control characters, but for those around it.
func control(text string) bool {
	return strings.ContainsFunc(strings.TrimSpace(text), unicode.IsControl)
}

// testLogInjection sends texts that could forge lines of a log.
func testLogInjection(a *attack) {
	a.begin()
	before := len(a.records())
	texts := []string{"a\nb", "a\r\n{\"forged\":true}", "\x1b[2J\x1b]0;owned\a", "\u009b31m", "\u0085x", "\u2028x\u2029",
		"\u202egpj.exe", "\ufeffx", "\x00x", "\x7fx", `"},{"x":"`, `\u000a`, "x\U000e0041", "</script><script>", "%0a",
		"${x}", "日本"}
	var ids []string
	for i, text := range texts {
		quoted, err := json.Marshal(text)
		if err != nil {
			a.Fatal(err)
		}
		a.requests += 2
		body := strings.Replace(programs.With(`"NA"`, string(quoted)), "{", `{"request_id":`+string(quoted)+`,`, 1)
		id := strings.TrimSpace(text)
		if control(text) {
			a.rejected(request("POST", "/predict", programs.With("{", `{"request_id":`+string(quoted)+`,`)), 422)
			a.rejected(request("POST", "/predict", programs.With(`"NA"`, string(quoted))), 422) // no training row had it
			id, body = "a", programs.Customer("a")
		}
		if got, answer := a.raw(request("POST", "/predict", body)); len(got) != 1 || got[0] != 200 {
			a.Errorf("%q: %v %s", text, got, answer)
		}
		ids = append(ids, id)
		// In headers: invalid characters are rejected, and control characters are not sent back.
		got, answer := a.raw(request("GET", "/health", "", "X-Request-ID: "+text, "traceparent: "+text, "User-Agent: "+text,
			"X-Forwarded-For: "+text, fmt.Sprintf("X-%d: y", i)))
		head, _, _ := strings.Cut(answer, "\r\n\r\n")
		if len(got) != 1 || strings.ContainsAny(head, "\x1b\x00\x7f\u009b\u2028\u0085") ||
			strings.Contains(head, "forged") || strings.Contains(head, "\r\nb\r\n") {
			a.Errorf("X-Request-ID %q: %v %q", text, got, answer)
		}
	}
	// A header injected into another.
	a.requests++
	if got, answer := a.raw(request("GET", "/health", "", "X-Request-ID: x\r\nSet-Cookie: y=z")); len(got) != 1 ||
		strings.Contains(answer, "Set-Cookie") {
		a.Errorf("%v %s", got, answer)
	}
	events := a.end()
	records := a.records()[before:]
	if len(records) != len(texts) {
		a.Fatalf("%d lines for %d answers:\n%s", len(records), len(texts), records)
	}
	for i, line := range records {
		var r struct {
			ID       string `json:"request_id"`
			Features struct{ Region string }
		}
		region := strings.ToUpper(strings.TrimSpace(texts[i])) // as a CSV file keeps it
		if control(texts[i]) {
			region = "NA"
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.ID != ids[i] || r.Features.Region != region {
			a.Errorf("%q is logged as %+v, %v: %s", ids[i], r, err, line)
		}
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\n\r\x00\x1b\x7f\u0085\u009b\u2028\u2029\u202e") {
			a.Errorf("the line has control characters: %q", line)
		}
	}
	if len(events) < 2*len(texts) {
		a.Errorf("%d lines of the access log for %d requests", len(events), 2*len(texts))
	}
}

// testTLSBytes sends plain HTTP and random bytes to the port of HTTPS.
func testTLSBytes(a *attack) {
	cert, key := a.Path("cert.pem"), a.Path("key.pem")
	certify(a.T, cert, key)
	a.begin("--tls-cert", cert, "--tls-key", key)
	defer a.end()
	a.rejected(request("GET", "/health", ""), 400)
	a.rejected(request("POST", "/predict", programs.GoodCustomer), 400)
	for _, bytes := range []string{"\x16\x03\x01\xff\xff", "\x16\x03\x01\x00\x00", "\x00\x00\x00\x00\x00\x00",
		"\x15\x03\x01\x00\x02\x02\x28", strings.Repeat("\xff", 100_000), "SSH-2.0-x\r\n", "\x80\x2e\x01\x00\x02"} {
		a.requests++
		if _, answer := a.raw(bytes); strings.Contains(answer, "200 OK") {
			a.Errorf("%.20q: %q", bytes, answer)
		}
	}
	if status, answer, err := programs.Request(secureClient(), "GET", "https://"+a.Addr+"/health", "", ""); err != nil ||
		status != 200 {
		a.Fatalf("%d %s, %v", status, answer, err)
	}
}
