package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"text/tabwriter"
	"time"

	"churn/internal/predictor"
	"churn/internal/status"
)

// report prints what serve would use, for --check.
func report(w io.Writer, o options, addr net.Addr, s secure, log string, h predictor.Health) {
	reach, keys, certificate := "anyone who can reach it", "none", "none: HTTP"
	if loopback(addr) {
		reach = "this machine"
	}
	if s.keys != nil {
		keys = fmt.Sprintf("%d in %s", s.keys.Len(), o.keyFile)
	}
	if s.tls != nil {
		certificate = fmt.Sprintf("%s, until %s", o.tlsCert, s.tls.until().Format(time.DateOnly))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	fmt.Fprintf(t, "address\t%s, for %s\n", addr, reach)
	fmt.Fprintf(t, "API keys\t%s\n", keys)
	fmt.Fprintf(t, "certificate\t%s\n", certificate)
	fmt.Fprintf(t, "model\t%s\n", cmp.Or(h.CurrentModel, "none"))
	fmt.Fprintf(t, "log\t%s\n", log)
	fmt.Fprintf(t, "memory\t%d MiB, %d connections\n", o.memory>>20, o.connections)
}

// wouldAnswer returns a rejection if predictions would not be answered.
func wouldAnswer(h predictor.Health) error {
	if h.Status == "ok" {
		return nil
	}
	return status.Reject("no prediction would be answered: %s", cmp.Or(h.Detail, "there is no current model"))
}
