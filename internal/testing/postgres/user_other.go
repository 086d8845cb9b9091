//go:build !unix

package postgres

import "os/exec"

func give(string) error              { return nil }
func demote(*exec.Cmd, string) error { return nil }
func detach(*exec.Cmd)               {}
