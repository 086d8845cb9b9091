package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"text/tabwriter"
	"time"

	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/predlog"
	"churn/internal/status"
)

// check prints what serve would use, and returns a rejection if it would answer no prediction.
func check(w io.Writer, o options, addr net.Addr, s secure) error {
	reach, keys, certificate := "anyone who can reach it", "none", "none: HTTP"
	if loopback(addr) {
		reach = "this machine"
	}
	if s.keys != nil {
		keys = fmt.Sprintf("%d in %s", s.keys.Len(), o.keyFile)
	}
	if s.tls != nil {
		certificate = fmt.Sprintf("%s, until %s", o.tlsCert, s.tls.until().Format(time.DateOnly))
		if state := s.tls.state(); state != "" {
			certificate += ": it " + state
		}
	}
	reg := modelstore.Open(o.dir)
	name, noModel := reg.Current()
	if noModel == nil {
		_, noModel = model.Read(name, reg.ReadModel)
	}
	log, _ := o.logFile()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "address\t%s, for %s\n", addr, reach)
	fmt.Fprintf(t, "API keys\t%s\n", keys)
	fmt.Fprintf(t, "certificate\t%s\n", certificate)
	fmt.Fprintf(t, "model\t%s\n", cmp.Or(name, "none"))
	fmt.Fprintf(t, "log\t%s\n", log)
	fmt.Fprintf(t, "memory\t%d MiB, %d connections\n", o.memory>>20, o.connections)
	t.Flush()
	if err := errors.Join(noModel, predlog.Writable(log)); err != nil {
		return status.Reject("no prediction would be answered: %w", err)
	}
	return nil
}
