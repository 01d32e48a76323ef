package main_test

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// chat is how much is asked of an agent before it is left alone.
const chat = 200

// TestVMMemory holds the idle agent's memory against the real qemu-ga's, in
// one guest: before anything was asked of it, and after.
func TestVMMemory(t *testing.T) {
	const other, name = "/other", "the real one"
	v := vm.Start(t, vm.Config{Files: map[string]string{other: vm.Reference(t)}})
	pid := v.StartProgram(name, other+"/qemu-ga", "-m", "virtio-serial",
		"-p", "/dev/virtio-ports/org.qemu.guest_agent.0", "-t", "/run")
	theirs := v.Agent()
	theirs.Sync(settle)
	fresh := resident(t, v, pid)
	talk(theirs)
	used := resident(t, v, pid)
	theirs.Close()
	v.Signal(name, syscall.SIGTERM)
	require.False(t, v.Wait(name, settle).Running)

	ours := startAgent(t, v)
	least := 0
	below := func(bound int) {
		v.Until(settle, "memory to be given back", func() bool {
			least = resident(t, v, v.AgentPID())
			return least < bound
		})
	}
	below(fresh)
	t.Logf("at first: %d kB, the real qemu-ga %d kB (%.2f)", least, fresh, float64(least)/float64(fresh))
	talk(ours)
	below(used)
	t.Logf("after %d commands: %d kB, the real qemu-ga %d kB (%.2f)", 4*chat, least, used, float64(least)/float64(used))
}

// talk asks what hosts ask all day.
func talk(agent *vm.Agent) {
	for range chat {
		for _, command := range []string{"guest-ping", "guest-get-osinfo", "guest-get-fsinfo", "guest-network-get-interfaces"} {
			agent.Call(command, nil)
		}
	}
}

// resident is a process's resident memory, in kB.
func resident(t *testing.T, v *vm.VM, pid int) int {
	t.Helper()
	// VmRSS:	    4328 kB
	fields := strings.Fields(v.Sh(fmt.Sprintf("grep VmRSS /proc/%d/status", pid)))
	require.Len(t, fields, 3)
	kb, err := strconv.Atoi(fields[1])
	require.NoError(t, err)
	return kb
}
