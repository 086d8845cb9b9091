package main

import (
	"fmt"
	"path/filepath"

	"churn/internal/atomicfile"
	"churn/internal/model"
	"churn/internal/onnx"

	"github.com/spf13/cobra"
)

// export is the flag --export: the file to write the model to as an ONNX graph; "" is none.
type export string

func (path export) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("export") && filepath.Ext(string(path)) != ".onnx" {
		return fmt.Errorf("--export %q: the file's name must end with .onnx, the one format there is", string(path))
	}
	return nil
}

// write writes the registered model of that name.
func (path export) write(m *model.Model, name string) error {
	if path == "" {
		return nil
	}
	b, err := onnx.Bytes(m)
	if err == nil {
		err = atomicfile.Write(string(path), b, 0o666)
	}
	if err != nil {
		return fmt.Errorf("%s is registered, but was not exported: %w: "+
			"once that is solved, evaluate --model %[1]s --export FILE.onnx does it", name, err)
	}
	return nil
}
