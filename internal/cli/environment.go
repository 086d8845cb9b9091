package cli

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"churn/internal/atomicfile"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// environmentHelp ends a program's help.
func environmentHelp(cmd *cobra.Command) string {
	return fmt.Sprintf("\nA flag that is not given is read from the environment, such as --dir from\n"+
		"%s, or from CHURN_DIR for every program.\n", variable(cmd, "dir"))
}

// variable returns the variable of the environment that stands for a flag.
func variable(cmd *cobra.Command, flag string) string {
	return "CHURN_" + strings.ToUpper(cmd.Name()+"_"+strings.ReplaceAll(flag, "-", "_"))
}

// setFromEnvironment sets each flag that was not given, and whose variable is not empty, as if
// it had been given. Variables of flags that there are not are warned of.
func setFromEnvironment(cmd *cobra.Command) (err error) {
	known := map[string]bool{}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Shorthand == "V" || f.Name == "completion" || f.Name == "help" {
			return
		}
		names := []string{variable(cmd, f.Name)}
		if f.Name == "dir" {
			names = append(names, "CHURN_DIR")
		}
		for _, name := range names {
			known[name] = true
			value := os.Getenv(name)
			if f.Changed || value == "" || err != nil {
				continue
			}
			if invalid := cmd.Flags().Set(f.Name, value); invalid != nil {
				err = fmt.Errorf("%s: %w", name, flagError(cmd, invalid))
			} else {
				cmd.Flags().SetAnnotation(f.Name, fromEnvironment, []string{name})
			}
		}
	})
	for _, setting := range slices.Sorted(slices.Values(os.Environ())) {
		name, _, _ := strings.Cut(setting, "=")
		if strings.HasPrefix(name, variable(cmd, "")) && !known[name] {
			Warn(cmd, name+": "+cmd.Name()+" has no such flag")
		}
	}
	return err
}

// fromEnvironment annotates a flag with the variable that set it.
const fromEnvironment = "environment"

// withVariables adds to an error the variables that set the flags it names.
func withVariables(cmd *cobra.Command, err error) error {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := regexp.MustCompile("--" + f.Name + `([^a-z0-9-]|$)`)
		if v := f.Annotations[fromEnvironment]; v != nil && name.MatchString(err.Error()) {
			err = fmt.Errorf("%w; %s sets --%s", err, v[0], f.Name)
		}
	})
	return err
}

// Secret returns what a variable of the environment holds, or the file that NAME_FILE names
// instead, without blanks around it; "" if there is neither. It is no flag, which all users of
// the machine could read, and its errors do not quote it.
func Secret(name string) (string, error) {
	const most = 64 << 10 // bytes
	text, file := os.Getenv(name), os.Getenv(name+"_FILE")
	if text != "" || file == "" {
		return strings.TrimSpace(text), nil
	}
	b, err := atomicfile.Read(file, most)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}
