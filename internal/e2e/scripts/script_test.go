package scripts_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"churn/internal/testing/programs"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the scripts in testdata, one for each program and some by subject.
func TestScripts(t *testing.T) {
	bin := programs.Build(t)
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("RETRAIN", filepath.Join(programs.Root(t), "cmd", "retrain.sh"))
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("HEADER", "tenure_months,num_complaints,avg_session_minutes,plan_type,region,churn")
			addr, err := programs.FreeAddress()
			env.Setenv("ADDR", addr)
			if err == nil {
				addr, err = programs.FreeAddress()
				env.Setenv("AM", addr)
			}
			return err
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status":    command("status N program [args...]", 2, -1, status),
			"refused":   command("refused N program [args...]", 2, -1, refused),
			"says":      command("says line...", 1, -1, says),
			"value":     command("value NAME file [key...]", 2, -1, value),
			"equal":     command("equal text text...", 2, -1, equal),
			"write":     command("write file text", 2, 2, write),
			"append":    command("append file text", 2, 2, appendText),
			"rows":      command("rows file N header row", 4, 4, rows),
			"replace":   command("replace file old new", 3, 3, replace),
			"join":      command("join file.csv more.csv out.csv", 3, 3, join),
			"truncate":  command("truncate file bytes", 2, 2, truncate),
			"ready":     command("ready", 0, 0, ready),
			"get":       command("get STATUS path", 2, 2, get),
			"post":      command("post STATUS path body", 3, 3, post),
			"score":     command("score file.csv", 1, 1, score),
			"hammer":    command("hammer N", 1, 1, hammer),
			"sigterm":   command("sigterm", 0, 0, sigterm),
			"recompute": command("recompute N", 1, 1, recompute),
			"journal":   command("journal N", 1, 1, journal),
			"outcomes":  command("outcomes file target N [file.csv]", 3, 4, outcomes),
			"hook":      command("hook", 0, 0, hook),
		},
	})
}

// command returns a script command that checks the number of arguments of f and has no "!".
func command(usage string, least, most int, f func(ts *testscript.TestScript, args []string)) func(
	*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least || most >= 0 && len(args) > most {
			ts.Fatalf("usage: %s", usage)
		}
		f(ts, args)
	}
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

// status runs a program that must exit with status N.
func status(ts *testscript.TestScript, args []string) {
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if want := number(ts, args[0]); got != want {
		ts.Fatalf("%s: status %d, want %d", args[1], got, want)
	}
}

// refused is status for a run that must not change files or print to standard output, and
// must begin every line of standard error with the program's name.
func refused(ts *testscript.TestScript, args []string) {
	before := tree(ts)
	status(ts, args)
	after := tree(ts)
	for path := range before {
		if after[path] != before[path] {
			ts.Fatalf("%s changed %s from %q to %q", args[1], path, before[path], after[path])
		}
		delete(after, path)
	}
	for path := range after {
		ts.Fatalf("%s made %s", args[1], path)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("%s printed %q to standard output", args[1], out)
	}
	stderr := ts.ReadFile("stderr")
	if stderr == "" {
		ts.Fatalf("%s printed no error", args[1])
	}
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, args[1]+": ") {
			ts.Fatalf("the line %q does not begin with %s", line, args[1])
		}
	}
}

// tree returns mode and content of all files below the script's folder, except the lock
// file, which is empty and created by the first reader.
func tree(ts *testscript.TestScript) map[string]string {
	found := map[string]string{}
	root := ts.Getenv("WORK")
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == filepath.Join(root, ".tmp") {
			return fs.SkipDir
		}
		if d.Name() == "registry.lock" {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			content = fmt.Sprintf(" %x %v", sha256.Sum256(b), err)
		} else if info.Mode()&fs.ModeSymlink != 0 {
			content, err = os.Readlink(path)
		}
		name, _ := filepath.Rel(root, path)
		found[name] = info.Mode().String() + content
		return err
	}))
	return found
}

// says verifies that the last program wrote exactly these lines to standard error.
func says(ts *testscript.TestScript, args []string) {
	if got, want := ts.ReadFile("stderr"), strings.Join(args, "\n")+"\n"; got != want {
		ts.Fatalf("standard error is\n%swant\n%s", got, want)
	}
}

// value sets an environment variable to a file's text, or to the value at a path of keys
// and indexes in its JSON.
func value(ts *testscript.TestScript, args []string) {
	text := strings.TrimSpace(ts.ReadFile(args[1]))
	for _, key := range args[2:] {
		var object map[string]json.RawMessage
		if at, err := strconv.Atoi(key); err == nil {
			var list []json.RawMessage
			ts.Check(json.Unmarshal([]byte(text), &list))
			if at >= len(list) {
				ts.Fatalf("%s has %d entries", args[1], len(list))
			}
			text = string(list[at])
			continue
		}
		ts.Check(json.Unmarshal([]byte(text), &object))
		text = string(object[key])
	}
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	if text == "" {
		ts.Fatalf("%s: there is no %v", args[1], args[2:])
	}
	ts.Setenv(args[0], text)
}

// equal verifies that its arguments are the same.
func equal(ts *testscript.TestScript, args []string) {
	for _, word := range args[1:] {
		if word != args[0] {
			ts.Fatalf("%q is not %q", args[0], word)
		}
	}
}

// put replaces a file, even a read-only one.
func put(ts *testscript.TestScript, file, text string) {
	ts.Check(programs.ReplaceFile(ts.MkAbs(file), text))
}

// unescape reads Go's escapes, \n, \r and \xff.
func unescape(ts *testscript.TestScript, text string) string {
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	ts.Check(err)
	return text
}

// write creates a file of a text with such escapes.
func write(ts *testscript.TestScript, args []string) { put(ts, args[0], unescape(ts, args[1])) }

// appendText appends such a text to a file.
func appendText(ts *testscript.TestScript, args []string) {
	put(ts, args[0], ts.ReadFile(args[0])+unescape(ts, args[1]))
}

var placeholder = regexp.MustCompile(`\{i(?:%(\d+))?\}`)

// rows creates a CSV file of N rows; {i} stands for the row number, {i%7} for it modulo 7.
func rows(ts *testscript.TestScript, args []string) {
	var b strings.Builder
	fmt.Fprintln(&b, args[2])
	for i := range number(ts, args[1]) {
		fmt.Fprintln(&b, placeholder.ReplaceAllStringFunc(args[3], func(p string) string {
			if m := placeholder.FindStringSubmatch(p)[1]; m != "" {
				return strconv.Itoa(i % number(ts, m))
			}
			return strconv.Itoa(i)
		}))
	}
	put(ts, args[0], b.String())
}

// replace replaces the first occurrence of a text in a file.
func replace(ts *testscript.TestScript, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	put(ts, args[0], strings.Replace(text, args[1], unescape(ts, args[2]), 1))
}

// truncate keeps the first N bytes of a file, or drops the last -N.
func truncate(ts *testscript.TestScript, args []string) {
	text := ts.ReadFile(args[0])
	n := number(ts, args[1])
	if n < 0 {
		n += len(text)
	}
	if n < 0 || n >= len(text) {
		ts.Fatalf("%s has %d bytes", args[0], len(text))
	}
	put(ts, args[0], text[:n])
}

// join concatenates two CSV files with the same header.
func join(ts *testscript.TestScript, args []string) {
	_, rows, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	put(ts, args[2], ts.ReadFile(args[0])+rows)
}
