package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

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
