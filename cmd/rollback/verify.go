package main

import (
	"fmt"

	"churn/internal/cli"
	"churn/internal/modelstore"

	"github.com/spf13/cobra"
)

// verify checks the registry and lists what is off. Nothing changes.
func verify(cmd *cobra.Command, o options) error {
	a, err := modelstore.Open(o.dir).Verify(cmd.Context(), modelstore.MatchEntry)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if o.json {
		if err := cli.JSON(w, a); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "%s, %s, current: %s\n", count(a.Models, "model"), count(a.Changes, "change"), orNone(cli.Printable(a.Current)))
		for _, text := range a.Problems {
			fmt.Fprintln(w, cli.Paint(w, cli.Alert, "off:"), text)
		}
		for _, text := range a.Notes {
			fmt.Fprintln(w, cli.Paint(w, cli.Watch, "note:"), text)
		}
		if len(a.Problems) == 0 {
			fmt.Fprintln(w, cli.Paint(w, cli.Good, "all as it was registered"))
		}
	}
	if n := len(a.Problems); n > 0 {
		return cli.No("the registry is not sound: %s; do what each line says, or restore the file that it names from a copy", count(n, "problem"))
	}
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
