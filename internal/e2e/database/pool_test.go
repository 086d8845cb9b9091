package database_test

import (
	"context"
	"strings"
	"testing"

	"churn/internal/testing/postgres"
	"churn/internal/testing/programs"

	"github.com/jackc/pgx/v5/pgconn"
)

// testPool compares what the programs answer through PgBouncer with what they answer
// without it.
func testPool(t *testing.T, bin string, c *postgres.Cluster, db string) {
	direct := programs.EmptyLoop(t, bin)
	direct.Run("generate", "--rows", "3000")
	table := storeInTable(direct, c, db)[2:]
	answers := func(l *programs.Loop, url string) map[string]any {
		from := append([]string{"--from", url}, table...)
		prepared := reportOf(l, "prepare", append(from, "--key", "id", "--query-timeout", "1m")...)
		trained := reportOf(l, "train", append(from, "--gate-f1", "0")...)
		evaluated := reportOf(l, "evaluate", append(from, "--gate-f1", "0", "--model", trained.Model)...)
		source := programs.ReadFile(l.T, l.Path("registry/source.json"))
		_, fingerprint, _ := strings.Cut(source, `"fingerprint"`)
		return map[string]any{
			"columns": prepared.Columns, "source": fingerprint, "trained": trained.Figures, "evaluated": evaluated.Figures,
		}
	}
	want := answers(direct, c.URL(db))
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			url := c.Pool(t, mode)(db)
			leaveSettings(t, url)
			l := programs.EmptyLoop(t, bin)
			wantAlike(t, mode, want, answers(l, url))
		})
	}
	t.Run("statement", func(t *testing.T) {
		l := programs.EmptyLoop(t, bin)
		from := append([]string{"--from", c.Pool(t, "statement")(db), "--key", "id"}, table...)
		status, _, err := l.Exec("prepare", from...)
		if status != 2 || !strings.Contains(err.Error(), "this pooler (pool_mode=statement) allows no transaction") ||
			!strings.Contains(err.Error(), "name in the URL the server itself") {
			t.Errorf("prepare ended with %d: %v", status, err)
		}
	})
}

// leaveSettings is a client that changes the session which PgBouncer lends to others too.
func leaveSettings(t *testing.T, url string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), "SET extra_float_digits = -10; SET search_path = pg_catalog; "+
		"SET default_transaction_isolation = 'read committed'").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
}
