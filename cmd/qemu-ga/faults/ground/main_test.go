// Package ground_test does faults to agents in a freezing ground.
package ground_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"qemu-ga/cmd/qemu-ga/faults"
	"qemu-ga/freeze/freezetest"
)

// Where things lie in the ground.
const (
	ownAgent       = "/agent/qemu-ga"
	referenceDir   = "/reference"
	referenceAgent = referenceDir + "/qemu-ga"
	tableFile      = "/faults.md"
)

// rows is the table, in the order of the faults.
var rows []faults.Row

func TestMain(m *testing.M) {
	status, err := enter(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// enter runs the tests in a ground that has both agents.
func enter(m *testing.M) (int, error) {
	_, file, _, _ := runtime.Caller(0)
	top := filepath.Join(filepath.Dir(file), "../../../..")
	built := filepath.Join(top, ".cache/bin/faults/qemu-ga")
	cfg := freezetest.Config{Files: map[string]string{built: ownAgent}}
	if reference := filepath.Join(top, ".cache/reference"); exists(reference + "/qemu-ga") {
		cfg.Files[reference] = referenceDir
	}
	if path := os.Getenv(faults.Variable); path != "" {
		path, err := filepath.Abs(path)
		if err != nil {
			return 0, err
		}
		cfg.Results = map[string]string{tableFile: path}
	}
	if freezetest.Outside() && freezetest.Missing() == "" {
		build := exec.Command("go", "build", "-trimpath", "-o", built, "./cmd/qemu-ga")
		build.Dir, build.Env = top, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("cannot build the agent: %w: %s", err, out)
		}
	}
	return freezetest.Main(func() int {
		status := m.Run()
		if err := writeTable(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return status
	}, cfg), nil
}

// writeTable prints the table, and leaves it where it is fetched from.
func writeTable() error {
	if len(rows) == 0 {
		return nil
	}
	const title = "On loop filesystems"
	if err := faults.Write(os.Stdout, title, rows); err != nil {
		return err
	}
	file, err := os.OpenFile(tableFile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return faults.Write(file, title, rows)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
