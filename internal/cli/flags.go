package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Version returns the version of the program: that of the module, or of the commit it was
// built from, as Go stamps it; "(devel)" without one.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	return cmp.Or(info.Main.Version, "(devel)")
}

// addCommon gives a program the flags that all have: -V, which is --version too unless that
// names a model, and --completion. Its help fits 80 columns.
func addCommon(cmd *cobra.Command) {
	f := cmd.Flags()
	name := "version"
	if f.Lookup(name) != nil {
		name = "program-version"
	}
	version := f.BoolP(name, "V", false, "print the version of the program and exit")
	completion := f.String("completion", "", "print the completions for a `shell` and exit: bash, zsh or fish")
	takes := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		err := takes(cmd, args)
		switch {
		case err == nil:
			return nil
		case f.Lookup("in") != nil: // what most would mean
			err = fmt.Errorf("unexpected argument %q: a file to read is named by --in", args[len(args)-1])
		default:
			err = fmt.Errorf("unexpected argument %q", args[len(args)-1])
		}
		return flagError(cmd, err)
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return setFromEnvironment(cmd) }
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch out := cmd.OutOrStdout(); {
		case *version:
			fmt.Fprintf(out, "%s %s %s %s/%s\n", cmd.Name(), Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		case f.Changed("completion"):
			return complete(cmd, out, *completion)
		}
		querying.Store(f.Changed("from"))
		return run(cmd, args)
	}
	cmd.Long = reflow(cmd.Long)
	wrapped := fmt.Sprint(".FlagUsagesWrapped ", columns)
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", wrapped) + environmentHelp(cmd))
	cmd.SetFlagErrorFunc(flagError)
}

const columns = 80 // of help

// fits is what fits a line, and the space behind it.
var fits = regexp.MustCompile(fmt.Sprintf("(.{1,%d})(?: |$)", columns))

// reflow fills the lines of each paragraph; one with an indented line stays as it is.
func reflow(text string) string {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, p := range paragraphs {
		if !strings.Contains("\n"+p, "\n ") {
			line := strings.Join(strings.Fields(p), " ")
			paragraphs[i] = strings.TrimSpace(fits.ReplaceAllString(line, "$1\n"))
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

func complete(cmd *cobra.Command, w io.Writer, shell string) error {
	switch shell {
	case "bash":
		return cmd.GenBashCompletionV2(w, true)
	case "zsh":
		return cmd.GenZshCompletion(w)
	case "fish":
		return cmd.GenFishCompletion(w, true)
	}
	return fmt.Errorf("--completion %q: expected bash, zsh or fish", shell)
}

var flagGroup = regexp.MustCompile(
	`^if any flags in the group \[(.*)\] are set (they must all be set; missing \[(.*)\]|none.*)$`)

// groupError says which flags go together, or exclude each other, without the words of the library.
func groupError(err error) error {
	if err == nil {
		return nil
	}
	m := flagGroup.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	names := "--" + strings.ReplaceAll(m[1], " ", ", --")
	if m[3] == "" {
		return fmt.Errorf("%s: one excludes the other", names)
	}
	return fmt.Errorf("%s go together: --%s is missing", names, strings.ReplaceAll(m[3], " ", ", --"))
}

// flagError says what a flag takes, without the words of the library that reads it.
func flagError(cmd *cobra.Command, err error) error {
	kinds := map[string]string{"int": "a whole number", "int64": "a whole number", "uint64": "a whole number from 0 on",
		"float64": "a number", "bool": "true or false", "duration": "a duration such as 90s, 10m or 2h"}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		given := fmt.Sprintf("--%s %q", invalid.GetFlag().Name, invalid.GetValue())
		switch kind := kinds[invalid.GetFlag().Value.Type()]; {
		case kind == "":
			err = fmt.Errorf("%s: %w", given, errors.Unwrap(invalid))
		case errors.Is(invalid, strconv.ErrRange):
			err = fmt.Errorf("%s: expected %s that is not so large", given, kind)
		default:
			err = fmt.Errorf("%s: expected %s", given, kind)
		}
	}
	return fmt.Errorf("%w: see '%s --help'", err, cmd.Name())
}
