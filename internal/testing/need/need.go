// Package need is for tests that need a part of the machine, such as a real Prometheus. Without
// it they are skipped and say so; with CI set, where nothing may be missing, they fail.
package need

import (
	"cmp"
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of an installed program, which is in a Debian package.
func Program(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // often not in PATH
	}
	if err != nil {
		Missing(t, "%s: to run this test, apt-get install %s", name, debian)
	}
	return path
}

// Missing ends a test that needs what is not there.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("CI needs "+format, args...)
	}
	t.Skipf("SKIPPED: it needs "+format, args...)
}

// Python returns an interpreter that can import modules: CHURN_PYTHON, or python3.
func Python(t testing.TB, modules string) string {
	t.Helper()
	name := cmp.Or(os.Getenv("CHURN_PYTHON"), "python3")
	if out, err := exec.Command(name, "-c", "import "+modules).CombinedOutput(); err != nil {
		Missing(t, "Python with %s: to run this test, pip install -r .ci/tools/python.txt in a virtual environment "+
			"and there pip install --no-deps -r .ci/tools/kserve.txt, and name its Python in CHURN_PYTHON: %s: %v\n%s",
			modules, name, err, out)
	}
	return name
}

// NoError ends a test at an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
