package bench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// peers are the installed programs to compare with.
type peers struct {
	python                   string
	pandas, duckDB, boosting bool
	versions                 string // of those found
}

// findPeers finds what the interpreter can import, and prints how to install the rest.
func findPeers(ctx context.Context, python string) peers {
	p := peers{python: python, versions: "none"}
	probe := func(code string) (string, bool) {
		out, err := exec.CommandContext(ctx, python, "-c", code).Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	var versions []string
	var v string
	v, p.pandas = probe(`import joblib, pandas, scipy, sklearn
print("pandas", pandas.__version__ + ", scikit-learn", sklearn.__version__)`)
	if p.pandas {
		versions = append(versions, v)
	} else {
		fmt.Printf("bench: WITHOUT pandas and scikit-learn, which %s lacks:\n"+
			"       apt-get install python3-pandas python3-sklearn python3-scipy,\n"+
			"       or python3 -m venv DIR; DIR/bin/pip install pandas scikit-learn scipy duckdb;\n"+
			"       make bench PYTHON=DIR/bin/python\n", python)
	}
	if v, p.duckDB = probe(`import duckdb; print("duckdb", duckdb.__version__)`); p.duckDB {
		versions = append(versions, v)
	} else {
		fmt.Printf("bench: WITHOUT duckdb, which %s lacks: pip install duckdb, in a virtual environment\n", python)
	}
	v, p.boosting = probe(`import interpret, lightgbm, sklearn
print("interpret-core", interpret.__version__ + ", lightgbm", lightgbm.__version__)`)
	if p.boosting {
		versions = append(versions, v)
	} else {
		fmt.Printf("bench: WITHOUT interpret-core and lightgbm, which %s lacks:\n"+
			"       pip install interpret-core==0.7.8 lightgbm==4.7.0, in a virtual environment\n", python)
	}
	if len(versions) > 0 {
		versions = append(versions, "of "+python)
		p.versions = strings.Join(versions, ", ")
	}
	return p
}

// step returns a command of steps_peer.py, nil if it cannot run.
func (p peers) step(args ...string) *command {
	if !p.pandas {
		return nil
	}
	return p.script("steps_peer.py", args...)
}

// duckdb returns the command of prepare_duckdb.py, nil if it cannot run.
func (p peers) duckdb(raw, out string) *command {
	if !p.duckDB {
		return nil
	}
	return p.script("prepare_duckdb.py", raw, out)
}

// terms returns a command of terms_peer.py, nil if it cannot run.
func (p peers) terms(kind, raw string) *command {
	if !p.boosting {
		return nil
	}
	return p.script("terms_peer.py", kind, raw, "exited")
}

func (p peers) script(name string, args ...string) *command {
	return &command{path: p.python, args: append([]string{filepath.Join("internal", "bench", name)}, args...)}
}
