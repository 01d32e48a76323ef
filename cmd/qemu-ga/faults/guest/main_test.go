// Package guest_test does faults to agents in virtual machines: those that
// must not be done to the machine that runs the tests.
package guest_test

import (
	"fmt"
	"os"
	"testing"

	"qemu-ga/cmd/qemu-ga/faults"
)

// rows is the table, in the order of the faults.
var rows []faults.Row

func TestMain(m *testing.M) {
	status := m.Run()
	if err := writeTable(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// writeTable prints the table, and appends it to the file that is named.
func writeTable() error {
	const title = "In virtual machines"
	if len(rows) == 0 {
		return nil
	}
	if err := faults.Write(os.Stdout, title, rows); err != nil {
		return err
	}
	path := os.Getenv(faults.Variable)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return faults.Write(file, title, rows)
}
