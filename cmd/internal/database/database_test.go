package database

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestCheck(t *testing.T) {
	check := func(args, want string) {
		t.Helper()
		var f Flags
		cmd := &cobra.Command{}
		f.Add(cmd)
		f.AddKey()
		if err := cmd.ParseFlags(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		err := f.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	check("", "")
	check("--from postgres://h/d --table t", "")
	check("--from postgresql://u:p%40@h:5432/d?sslmode=require --table t --key k --query-timeout 0", "")
	check("--from postgres:///d?host=/run/postgresql --table t", "")
	check("--from postgres://u:p@a,b:5432/d --table t", "")
	check("--from trino://u:p@h:8443/c/s?ssl=true --table t", "")
	check("--table t", "--table needs --from")
	check("--key k", "--key needs --from and --table")
	check("--from postgres://h/d", "--from needs --table")
	check("--from postgres://h/d --table t --query-timeout -1s", "--query-timeout -1s: 0 or more")
	check("--from mysql://h/d --table t", "postgres:// or trino://")
	check("--from /tmp/postgres --table t", "postgres:// or trino://")
	check("--from postgres:h --table t", "there is no //")
	check("--from trino://u@h:1/c --table t", "a catalog and a schema")
	check("--from trino://u@h:1 --table t", "a catalog and a schema")
	check("--from trino://u@h:1//s --table t", "a catalog and a schema")
	check("--from trino://u@h:1/c/s/t --table t", "a catalog and a schema")
	check("--from trino://h:1/c/s --table t", "a user")
	check("--from trino:///c/s --table t", "a host")
	check("--from trino://u@h:1/c/s?PassWord=x --table t", "its password before the ?")
}

// No server is asked for a table without a name.
func TestLogsNameTheTable(t *testing.T) {
	for _, from := range []string{"postgres://u@127.0.0.1:1/d", "postgres://u@127.0.0.1:1/d#"} {
		_, _, err := (&Flags{}).Logs(t.Context(), io.Discard, []string{from}, 0, 0, nil)
		if err == nil || !strings.Contains(err.Error(), "named by URL#TABLE") {
			t.Errorf("%s: %v", from, err)
		}
	}
}
