// Command reference writes the reference of the agent's commands: a page for
// readers of the project, and a manual page. Both are made of the command
// table, of the structs that requests are decoded by and replies encoded from,
// and of the comments on them; so they cannot say anything else than the
// program does. Run it by `make generate`.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"qemu-ga/agent"
)

// The files that it writes, from the top of the project.
const (
	pageFile = "packaging/doc/commands.md"
	manFile  = "packaging/man/qemu-ga-ref.7"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

// run writes the files of the project at root.
func run(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate makes the files' texts.
func generate(root string) (map[string]string, error) {
	prose, err := readProse(filepath.Join(root, "agent"), filepath.Join(root, "freeze"), filepath.Join(root, "selinux"))
	if err != nil {
		return nil, err
	}
	var commands []command
	for _, row := range agent.Table() {
		c, err := describe(row, prose)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.Name, err)
		}
		commands = append(commands, c)
	}
	return map[string]string{pageFile: page(commands), manFile: manual(commands)}, nil
}
