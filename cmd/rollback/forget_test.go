package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"churn/internal/atomicfile"
	"churn/internal/predlog"
)

func TestForgetRow(t *testing.T) {
	var wide []byte
	for _, u := range utf16.Encode([]rune("\ufeffid,x\r\n7,1\r\n")) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for _, c := range []struct{ name, text, want string }{ // want "": it is not looked through
		{"commas", "id,x\n6,1\n7,2\n77,3\n", "id,x\n6,1\n77,3\n"},
		{"Excel's", "\ufeffid;x\r\n6;1\r\n7;2\r\n", "\ufeffid;x\r\n6;1\r\n"},
		{"a mark and quotes", "\ufeff\"id\",x\n7,1\n8,2\n", "\ufeff\"id\",x\n8,2\n"},
		{"a delimiter's line", "sep=;\r\nid;x\r\n7;2\r\n8;2", "sep=;\r\nid;x\r\n8;2"},
		{"quotes", "x,\"id\"\n\"a\n,7\",6\n\"b\"\"\n\",\"7\"\nc,8\n", "x,\"id\"\n\"a\n,7\",6\nc,8\n"},
		{"no last line end", "id,x\n6,1\n 7 ,2", "id,x\n6,1\n"},
		{"short rows, blank lines", "x,id\n\n1\n1,7\n\n2,8\n", "x,id\n\n1\n\n2,8\n"},
		{"another column", "name,x\n7,7\n", "name,x\n7,7\n"},
		{"nothing", "", ""},
		{"UTF-16", string(wide), ""},
		{"a workbook", "PK\x03\x04\x14\x00", ""},
		{"Windows-1252", "id,x\n7,\xe9\n", ""},
		{"old Mac", "id,x\r7,1\r", ""},
		{"a quote without its end", "id,x\n7,\"a\n8,b\n", ""},
		{"a quote inside", "id,x\n7,a\"b\n8,b\n", ""},
		{"Windows-1252 far down", "id,x\n7,1\n" + strings.Repeat("8,1\n", 1<<15) + "8,\xe9\n", ""},
		{"a name in spaces", "x, id \n1,7\n2,8\n", "x, id \n2,8\n"},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(c.text), 0o640); err != nil {
			t.Fatal(err)
		}
		_, done, err := forgetRow(path, predlog.Eraser{Column: "id", Value: "7"})
		if c.want == "" && c.text != "" {
			if c.want = c.text; !errors.Is(err, errNotText) {
				t.Errorf("%s: %v, want %v", c.name, err, errNotText)
			}
		} else if err != nil || (done.Removed > 0) != (c.want != c.text) {
			t.Errorf("%s: %+v, %v", c.name, done, err)
		}
		got, err := os.ReadFile(path)
		if info, _ := os.Stat(path); err != nil || string(got) != c.want || info.Mode() != 0o640 {
			t.Errorf("%s: %q, mode %v, want %q: %v", c.name, got, info.Mode(), c.want, err)
		}
	}
}

// What another program writes meanwhile is not lost, and its temporary file is left alone.
func TestForgetRowsBesideWriters(t *testing.T) {
	dir := t.TempDir()
	raw := filepath.Join(dir, "data", "raw.csv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(raw, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := atomicfile.Create(filepath.Join(dir, "data", "processed.csv"), 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Abort()
	const half = "id,x\n7,1\n"
	if _, err := other.WriteString(half); err != nil {
		t.Fatal(err)
	}
	write("id,x\n7,1\n8,2\n")
	skipped, err := options{dir: dir}.forgetRows(predlog.Eraser{Column: "id", Value: "7"}, new(receipt))
	if err != nil || len(skipped) != 1 || !strings.Contains(skipped[0], "is writing it") {
		t.Errorf("skipped %q, %v", skipped, err)
	}
	if _, err := other.WriteString("8,2\n"); err != nil {
		t.Fatal(err)
	}
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "data", "processed.csv"))
	if string(got) != half+"8,2\n" {
		t.Errorf("processed.csv has %q: %v", got, err)
	}

	defer func() { copied = func() {} }()
	const text = "id,x\n7,1\n8,2\n"
	for name, change := range map[string]func() error{
		"appended": func() error {
			f, err := os.OpenFile(raw, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("9,3\n")
			return errors.Join(err, f.Close())
		},
		"replaced": func() error { return atomicfile.Write(raw, []byte(text+"9,3\n"), 0o640) },
	} {
		write(text)
		copied = func() {
			if err := change(); err != nil {
				t.Error(err)
			}
		}
		_, _, err := forgetRow(raw, predlog.Eraser{Column: "id", Value: "7"})
		if got, _ := os.ReadFile(raw); string(got) != text+"9,3\n" || err == nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	copied = func() {}
	const twice = "id,id\n1,7\n"
	write(twice)
	if _, _, err := forgetRow(raw, predlog.Eraser{Column: "id", Value: "7"}); err == nil {
		t.Errorf("%q: no error", twice)
	}
}

// A folder's name may be in Latin-1.
func TestReceiptOfFilesThatAreNotUTF8(t *testing.T) {
	dir := t.TempDir()
	r := receipt{By: "request_id", Files: []predlog.Erased{{File: "donn\xe9es/logs/predictions.log", Removed: 1}}}
	if err := r.note(dir); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "logs", "erased-*.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v, want one receipt", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil || !strings.Contains(string(text), "donn\ufffdes/logs/predictions.log") {
		t.Errorf("%s, %v", text, err)
	}
}
