// Bare is the baseline of make bench-serve: net/http alone, which reads the body and
// answers with a constant of the size of a record.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bare HOST:PORT BYTES")
		os.Exit(2)
	}
	var size int
	if _, err := fmt.Sscan(os.Args[2], &size); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(2)
	}
	constant := []byte(`{"constant":"` + strings.Repeat("x", max(0, size-16)) + "\"}\n")
	http.HandleFunc("/predict", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(constant)
	})
	fmt.Fprintln(os.Stderr, "bare:", http.ListenAndServe(os.Args[1], nil))
	os.Exit(2)
}
