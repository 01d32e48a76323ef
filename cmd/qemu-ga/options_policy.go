package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qemu-ga/agent/guest"
)

// policyOptions are the groups [exec] and [file]: what hosts may run and open.
type policyOptions struct {
	programs, read, write pathsValue
	output                int // bytes of a process's output that are kept; 0 is the agent's default
	maxRead               int // bytes that one guest-file-read returns; 0 is the agent's default
}

// nothing is how a list of paths without paths is written.
const nothing = "none"

// pathsValue is a list of paths and patterns, or "none".
type pathsValue struct {
	given    bool
	patterns []string
}

// set implements value. A list that is refused counts as given: whoever goes
// on all the same must not go on without a policy.
func (v *pathsValue) set(text string) error {
	v.given = true
	if text == nothing {
		return nil
	}
	patterns := splitList(text)
	if len(patterns) == 0 {
		return errors.New("the list is empty: name paths with commas between them, or \"none\"")
	}
	if _, err := guest.NewPathList(patterns); err != nil {
		return err
	}
	v.patterns = append(v.patterns, patterns...)
	return nil
}

// String implements value.
func (v *pathsValue) String() string {
	if v.given && v.patterns == nil {
		return nothing
	}
	return strings.Join(v.patterns, ",")
}

// list returns the list; nil if none was given.
func (v *pathsValue) list() *guest.PathList {
	if !v.given {
		return nil
	}
	l, err := guest.NewPathList(v.patterns)
	if err != nil { // set has refused it
		l = &guest.PathList{}
	}
	return l
}

// files is the policy for files; nil if there is none. What the policy is made
// of, and what could change it at the agent's next start, is never written.
func (o *options) files() *guest.FilePolicy {
	if !o.policy.read.given && !o.policy.write.given {
		return nil
	}
	keep := []string{
		path.Dir(defaultConfig), "/etc/default/qemu-guest-agent", "/etc/sysconfig/qemu-ga",
		"/etc/systemd/system/qemu-guest-agent.service", "/etc/systemd/system/qemu-guest-agent.service.d",
		defaultHook + ".d", path.Join(o.stateDir, "qga.state"),
	}
	keep = append(keep, hookDirs...)
	for _, file := range []string{o.config, o.hook, o.pidFile, o.logFile} {
		if abs, err := filepath.Abs(file); file != "" && err == nil {
			keep = append(keep, abs)
		}
	}
	if program, err := os.Executable(); err == nil {
		keep = append(keep, program)
	}
	return &guest.FilePolicy{Read: o.policy.read.list(), Write: o.policy.write.list(), Keep: keep}
}

// policyWarnings tells of names in the lists that cover nothing.
func (o *options) policyWarnings() []string {
	var warnings []string
	for _, l := range []struct {
		key   string
		value *pathsValue
	}{
		{"allow of [exec]", &o.policy.programs}, {"read of [file]", &o.policy.read}, {"write of [file]", &o.policy.write},
	} {
		list := l.value.list()
		if list == nil {
			continue
		}
		for name, real := range list.Links("/") {
			warnings = append(warnings, fmt.Sprintf("key %s: %s is or lies below a symbolic link and covers nothing: name %s", l.key, name, real))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// sizeValue is a number of bytes.
type sizeValue int

// maxSize keeps what the agent holds in memory bounded: it is what qemu-ga has
// one guest-file-read return.
const maxSize = 48 << 20

// set implements value.
func (v *sizeValue) set(text string) error {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil || n < 1 || n > maxSize {
		return fmt.Errorf("%q is not a number of bytes from 1 to %d", text, maxSize)
	}
	*v = sizeValue(n)
	return nil
}

// String implements value.
func (v *sizeValue) String() string { return strconv.Itoa(int(*v)) }

// countValue is a number; 0 is no limit.
type countValue int

// set implements value.
func (v *countValue) set(text string) error {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not a number from 0 to 65535", text)
	}
	*v = countValue(n)
	return nil
}

// String implements value.
func (v *countValue) String() string { return strconv.Itoa(int(*v)) }

// patternsValue is a list of patterns of names.
type patternsValue []string

// set implements value.
func (v *patternsValue) set(text string) error {
	for _, pattern := range splitList(text) {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("%q is no pattern: * ? and [...] stand for text", pattern)
		}
		*v = append(*v, pattern)
	}
	return nil
}

// String implements value.
func (v *patternsValue) String() string { return strings.Join(*v, ",") }

// The orders of network interfaces.
const (
	physicalFirst = "physical"
	kernelOrder   = "kernel"
)

// orderValue is an order of network interfaces: true is the kernel's.
type orderValue bool

// set implements value.
func (v *orderValue) set(text string) error {
	if text != physicalFirst && text != kernelOrder {
		return fmt.Errorf("%q is no order: use %s or %s", text, physicalFirst, kernelOrder)
	}
	*v = text == kernelOrder
	return nil
}

// String implements value.
func (v *orderValue) String() string {
	if *v {
		return kernelOrder
	}
	return physicalFirst
}
