package clients_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// tool returns a program of .ci/tools/package.json.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(programs.Root(t), ".ci", "tools", "node_modules", ".bin", name)
	if _, err := os.Stat(path); err != nil {
		need.Missing(t, "%s: to run this test, npm ci --prefix .ci/tools", name)
	}
	return path
}

// Linters find no error in the document, with keys and without.
func TestLinters(t *testing.T) {
	redocly, spectral := tool(t, "redocly"), tool(t, "spectral")
	keys := filepath.Join(t.TempDir(), "keys.txt")
	programs.WriteFile(t, keys, strings.Repeat("k", 32)+"\n")
	if err := os.Chmod(keys, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--api-key-file", keys}} {
		path := document(start(t, args...))
		dir := filepath.Dir(path)
		programs.WriteFile(t, filepath.Join(dir, ".spectral.yaml"), "extends: [\"spectral:oas\"]\n")
		run(t, dir, redocly, "lint", path, "--extends", "recommended")
		run(t, dir, spectral, "lint", path)
	}
}

// The types of openapi-typescript compile, hold a program to them, and the program predicts.
const script = `import createClient from "openapi-fetch";
import type { paths, components } from "./api";

declare const process: { argv: string[]; exitCode: number };
const customer: components["schemas"]["Customer"] = {
  tenure_months: 6, num_complaints: 3, avg_session_minutes: 21.5, plan_type: "basic", region: "NA",
};
// @ts-expect-error a number is no text
const wrong: components["schemas"]["Customer"] = { ...customer, region: 6 };
const client = createClient<paths>({ baseUrl: process.argv[2] });
const good = await client.POST("/predict", { body: customer });
const bad = await client.POST("/predict", { body: wrong });
if (good.data?.prediction === 1 && bad.response.status === 422) console.log("ok");
else console.log(JSON.stringify([good.data, bad.error]));
`

func TestOpenAPITypeScript(t *testing.T) {
	generate, compile, node := tool(t, "openapi-typescript"), tool(t, "tsc"), need.Program(t, "node", "nodejs")
	s := start(t)
	dir := t.TempDir()
	modules := filepath.Join(programs.Root(t), ".ci", "tools", "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	programs.WriteFile(t, filepath.Join(dir, "package.json"), `{"type": "module"}`)
	programs.WriteFile(t, filepath.Join(dir, "client.ts"), script)
	run(t, dir, generate, document(s), "-o", "api.d.ts")
	run(t, dir, compile, "--strict", "--skipLibCheck", "--target", "es2022", "--lib", "es2022,dom", "--module", "esnext",
		"--moduleResolution", "bundler", "client.ts")
	if out := run(t, dir, node, "client.js", "http://"+s.Addr); out != "ok\n" {
		t.Error(out)
	}
}
