package main_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// report is what these tests read of x-fsfreeze-report.
type report struct {
	State       string
	Filesystems []struct {
		Mountpoint string
		Type       string
		Outcome    string
		Reason     string
	}
}

func fetchReport(t *testing.T, agent *vm.Agent) report {
	t.Helper()
	var r report
	require.NoError(t, json.Unmarshal(agent.Call("x-fsfreeze-report", nil), &r))
	return r
}

// requireReport requires the state that the agent's report tells.
func requireReport(t *testing.T, agent *vm.Agent, state string) {
	t.Helper()
	require.Equal(t, state, fetchReport(t, agent).State)
}

// requireNotFrozen requires that the report names a disk as not frozen, and
// why.
func requireNotFrozen(t *testing.T, agent *vm.Agent, disk string) {
	t.Helper()
	for _, filesystem := range fetchReport(t, agent).Filesystems {
		if filesystem.Mountpoint == "/mnt/"+disk {
			require.Equal(t, "unsupported", filesystem.Outcome)
			require.NotEmpty(t, filesystem.Reason)
			return
		}
	}
	t.Fatalf("the report does not name /mnt/%s", disk)
}
