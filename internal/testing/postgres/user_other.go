//go:build !unix

package postgres

import "os/exec"

func chown(string) error                  { return nil }
func runAsServer(*exec.Cmd, string) error { return nil }
func detach(*exec.Cmd)                    {}
