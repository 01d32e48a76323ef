package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	policy "qemu-ga/packaging/selinux"
)

// showPolicy is `qemu-ga policy`: it prints the SELinux module, or with
// --install hands it to semodule(8).
func showPolicy(o options, w io.Writer) error {
	if o.install {
		return installPolicy(w)
	}
	_, err := io.WriteString(w, policy.Module)
	return err
}

// installPolicy installs the module and gives the agent's files the labels
// that the policy then has for them.
func installPolicy(w io.Writer) error {
	if !policyInstalled() {
		if err := linkPolicy(w); err != nil {
			return fmt.Errorf("cannot install the SELinux module: %w", err)
		}
	}
	labelled := []string{"-v"}
	for _, path := range []string{self(), defaultHook, defaultHook + ".d"} {
		if _, err := os.Lstat(path); err == nil { // restorecon fails for others
			labelled = append(labelled, path)
		}
	}
	if err := call(w, "restorecon", labelled...); err != nil {
		return fmt.Errorf("the SELinux module is installed, but the agent's files cannot be labelled: %w", err)
	}
	_, err := fmt.Fprintf(w, "The SELinux module %s is installed. Restart the agent: systemctl restart qemu-guest-agent\n", policy.Name)
	return err
}

// policyInstalled tells whether this very module is installed and in force:
// then there is no need to link the whole policy anew, which takes many
// seconds. A semodule before 3.4 does not know -m, and nobody can tell.
func policyInstalled() bool {
	list, err := exec.Command("semodule", "-l", "-m").Output()
	this := fmt.Sprintf("%s sha256:%x", policy.Name, sha256.Sum256([]byte(policy.Module)))
	return err == nil && slices.Contains(strings.Split(string(list), "\n"), this)
}

// linkPolicy has semodule link the module into the policy and load that.
func linkPolicy(w io.Writer) error {
	dir, err := os.MkdirTemp("", "qemu-ga-policy-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, policy.Name+".cil")
	if err := os.WriteFile(file, []byte(policy.Module), 0o600); err != nil {
		return err
	}
	return call(w, "semodule", "-i", file)
}

// self is the path of this program, as the kernel has it.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// call runs a program of the package policycoreutils and shows what it says.
func call(w io.Writer, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = w, w
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("there is no %s: install policycoreutils", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
