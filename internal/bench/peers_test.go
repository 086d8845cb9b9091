package bench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// libraries are what the peers import, and what pip calls it.
var libraries = []struct{ kind, modules, pip string }{
	{"pandas", "joblib, pandas, scipy, sklearn", "pandas scikit-learn scipy"},
	{"polars", "numpy, polars", "polars==2.1.0"},
	{"glum", "glum, joblib, pandas, sklearn", "glum==3.4.1"},
	{"duckdb", "duckdb", "duckdb"},
	{"boosting", "interpret, lightgbm, sklearn", "interpret-core==0.7.8 lightgbm==4.7.0"},
}

// peers are the installed programs to compare with.
type peers struct {
	python   string
	found    map[string]bool // by kind
	versions string
}

// findPeers finds what the interpreter can import, and prints how to install the rest.
func findPeers(ctx context.Context, python string) peers {
	p := peers{python: python, found: map[string]bool{}, versions: "none"}
	for _, l := range libraries {
		if err := exec.CommandContext(ctx, python, "-c", "import "+l.modules).Run(); err == nil {
			p.found[l.kind] = true
		} else {
			fmt.Printf("bench: WITHOUT %s, which %s lacks: python3 -m venv DIR; DIR/bin/pip install %s;\n"+
				"       make bench PYTHON=DIR/bin/python\n", l.kind, python, l.pip)
		}
	}
	names := "pandas scikit-learn polars glum duckdb interpret-core lightgbm"
	out, err := exec.CommandContext(ctx, python, "-c", `import sys, importlib.metadata as m
print(", ".join(f"{n} {m.version(n)}" for n in sys.argv[1].split() if any(m.distributions(name=n))))`, names).Output()
	if err == nil && len(p.found) > 0 {
		p.versions = strings.TrimSpace(string(out)) + " of " + python
	}
	return p
}

// script returns a command of a script that needs a kind of library, nil without it.
func (p peers) script(kind, name string, args ...string) *command {
	if !p.found[kind] {
		return nil
	}
	return &command{path: p.python, args: append([]string{filepath.Join("internal", "bench", name)}, args...)}
}

// step returns a command of steps_peer.py, nil if it cannot run.
func (p peers) step(args ...string) *command {
	kind := "pandas"
	if args[len(args)-1] == "glum" {
		kind = "glum"
	}
	return p.script(kind, "steps_peer.py", args...)
}

// prepare returns the command by which a kind of library prepares a file, nil without it.
func (p peers) prepare(kind, raw, out string) *command {
	if kind == "pandas" {
		return p.step("prepare", raw, out)
	}
	return p.script(kind, "prepare_"+kind+".py", raw, out)
}

// terms returns a command of terms_peer.py, nil if it cannot run.
func (p peers) terms(kind, raw string) *command {
	return p.script("boosting", "terms_peer.py", kind, raw, "exited")
}
