//go:build !unix

package cli

func checkFiles() error { return nil }
