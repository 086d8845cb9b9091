package scripts_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/testing/programs"

	"github.com/parquet-go/parquet-go"
)

// What prepare ignores is not read from a Parquet file, but for the column of --time-column.
func TestIgnoredColumnsOfParquet(t *testing.T) {
	type customer struct {
		Tags   []string `parquet:"tags"`
		Age    int      `parquet:"age"`
		Joined string   `parquet:"joined"`
		Left   bool     `parquet:"left"`
	}
	var customers []customer
	for i := range 60 {
		customers = append(customers, customer{[]string{"a", "b"}, 20 + i, fmt.Sprintf("2026-01-%02d", 1+i%28), i%3 == 0})
	}
	bin, dir := programs.Build(t), t.TempDir()
	path := filepath.Join(dir, "nested.parquet")
	if err := parquet.WriteFile(path, customers); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags []string
		want  string // "" of data that is taken
	}{
		{nil, `the column "tags" is nested: leave it out, in prepare with --ignore tags, or write its parts as columns`},
		{[]string{"--ignore", "joined"}, "in prepare with --ignore tags"},
		{[]string{"--ignore", "tags"}, ""},
		{[]string{"--ignore", "#1"}, ""},
		{[]string{"--ignore", "tags,joined", "--time-column", "joined"}, ""},
	} {
		args := append([]string{"--dir", dir, "--in", path, "--target", "left"}, c.flags...)
		out, err := exec.Command(filepath.Join(bin, "prepare"), args...).CombinedOutput()
		want := c.want
		if want == "" {
			want = "60 customers read, 60 kept, 0 left out, 33.3 % positive"
		}
		if (err == nil) != (c.want == "") || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v: %s", c.flags, err, out)
		}
	}
}
