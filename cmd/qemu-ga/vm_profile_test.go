package main_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/cmd/internal/vm"
)

// TestVMProfiles looks at what the agent, the freezer and the programs they
// start are allowed to do, and whether their work is still done: on a
// filesystem whose mount point root may only reach by a capability.
func TestVMProfiles(t *testing.T) {
	disk := vm.Disk{Name: "data", FS: "ext4"}
	v := vm.Start(t, vm.Config{Disks: []vm.Disk{disk}})
	v.Sh("mkdir -p /closed/data && mount --move /mnt/data /closed/data && chown -R 1000:1000 /closed && chmod 0700 /closed /closed/data")
	freezing := mask(unix.CAP_SYS_ADMIN, unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_NICE, unix.CAP_SYS_RESOURCE, unix.CAP_IPC_LOCK)
	full := mask(capabilityNumbers(t, v)...)
	for _, test := range []struct {
		name    string
		options []string
		want    uint64
		freezes bool
	}{
		{"freeze-only", []string{"--profile=freeze-only"}, freezing, true},
		{"both", []string{"--profile=freeze-only,info"}, freezing, true},
		{"info", []string{"--profile=info"}, mask(unix.CAP_DAC_READ_SEARCH), false},
		{"a list", []string{"--allow-rpcs=guest-sync-delimited,guest-set-time,guest-ping"}, mask(unix.CAP_SYS_TIME), false},
		{"an empty hook directory", []string{"--profile=freeze-only", "-F/mnt"}, freezing, true},
		{"a hook", []string{"--profile=freeze-only", "-F/bin/true"}, full, true},
		{"full", nil, full, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := v.In(t)
			agent := startAgent(t, v, test.options...)
			requireCapabilities(t, v, v.AgentPID(), test.want)
			if test.freezes {
				freeze(t, agent, 1)
				freezer := childOf(t, v, v.AgentPID())
				requireCapabilities(t, v, freezer, test.want)
				require.Equal(t, "-1000", strings.TrimSpace(v.Sh(fmt.Sprintf("cat /proc/%d/oom_score_adj", freezer))))
				require.NotContains(t, v.Sh(fmt.Sprintf("grep VmLck /proc/%d/status", freezer)), " 0 kB")
				thaw(t, agent, 1)
			} else {
				require.Contains(t, agent.Fail("guest-fsfreeze-freeze", nil).Desc, "has been disabled")
			}
			switch test.name {
			case "info":
				requireInfo(t, agent)
			case "a list":
				now := strings.TrimSpace(v.Sh("date +%s"))
				agent.Call("guest-set-time", map[string]any{"time": unixTime(t, now) * 1e9})
			case "full":
				started := agent.Call("guest-exec", map[string]any{
					"path": "/bin/sh", "arg": []string{"-c", "grep Cap /proc/self/status > /tmp/caps"},
				})
				require.Contains(t, string(started), "pid")
				v.Until(settle, "the program ends", func() bool {
					return v.Try(settle, "grep", "-q", fmt.Sprintf("CapEff:\t%016x", full), "/tmp/caps").Status == 0
				})
			}
		})
	}
}

// requireInfo asks everything of the profile; one answer shows what is closed
// to others.
func requireInfo(t *testing.T, agent *vm.Agent) {
	t.Helper()
	for _, command := range []string{
		"guest-get-time", "guest-get-timezone", "guest-get-host-name", "guest-get-osinfo", "guest-get-users",
		"guest-get-load", "guest-get-cpustats", "guest-get-diskstats", "guest-get-vcpus", "guest-get-disks",
		"guest-network-get-interfaces", "guest-network-get-route", "guest-fsfreeze-status", "x-fsfreeze-report",
	} {
		agent.Call(command, nil)
	}
	require.Contains(t, string(agent.Call("guest-get-fsinfo", nil)), `"used-bytes"`)
	require.Contains(t, string(agent.Call("x-fsfreeze-check", nil)), `/closed/data`)
}

// requireCapabilities requires that every thread of a process has exactly
// these capabilities, and that no program it starts can get others.
func requireCapabilities(t *testing.T, v *vm.VM, pid int, want uint64) {
	t.Helper()
	status := v.Sh(fmt.Sprintf("cat /proc/%d/task/*/status | grep Cap", pid))
	fields := strings.Fields(status)
	require.GreaterOrEqual(t, len(fields), 10, status)
	for i := 0; i < len(fields); i += 2 {
		expected := want
		if fields[i] == "CapInh:" || fields[i] == "CapAmb:" {
			expected = 0
		}
		require.Equal(t, fmt.Sprintf("%016x", expected), fields[i+1], "%s %s", fields[i], status)
	}
}

// childOf returns the one child of a process.
func childOf(t *testing.T, v *vm.VM, pid int) int {
	t.Helper()
	children := strings.Fields(v.Sh(fmt.Sprintf("cat /proc/%d/task/*/children", pid)))
	require.Len(t, children, 1)
	child, err := strconv.Atoi(children[0])
	require.NoError(t, err)
	return child
}

func mask(capabilities ...int) (set uint64) {
	for _, c := range capabilities {
		set |= 1 << c
	}
	return set
}

// capabilityNumbers lists all that the guest's kernel knows.
func capabilityNumbers(t *testing.T, v *vm.VM) (numbers []int) {
	t.Helper()
	last, err := strconv.Atoi(strings.TrimSpace(v.Sh("cat /proc/sys/kernel/cap_last_cap")))
	require.NoError(t, err)
	for c := range last + 1 {
		numbers = append(numbers, c)
	}
	return numbers
}

func unixTime(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}
