package vm

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
	"github.com/stretchr/testify/require"
)

// monitor is QEMU's side of the guest: commands, and the events so far.
type monitor struct {
	socket *qmp.SocketMonitor

	mu     sync.Mutex
	events []qmp.Event
}

func dialMonitor(t testing.TB, path string) *monitor {
	t.Helper()
	socket, err := qmp.NewSocketMonitor("unix", path, 5*time.Second)
	require.NoError(t, err)
	require.NoError(t, socket.Connect())
	events, err := socket.Events(context.Background())
	require.NoError(t, err)
	m := &monitor{socket: socket}
	go func() {
		for event := range events {
			m.mu.Lock()
			m.events = append(m.events, event)
			m.mu.Unlock()
		}
	}()
	return m
}

func (m *monitor) close() {
	_ = m.socket.Disconnect()
}

// QMP runs a command of QEMU and returns its result.
func (v *VM) QMP(command string, args any) json.RawMessage {
	v.t.Helper()
	line, err := json.Marshal(qmp.Command{Execute: command, Args: args})
	require.NoError(v.t, err)
	type answer struct {
		data []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		data, err := v.monitor.socket.Run(line)
		answers <- answer{data, err}
	}()
	var a answer
	select {
	case a = <-answers:
	case <-time.After(30 * time.Second):
		a.err = errors.New("no answer")
	}
	require.NoError(v.t, a.err, "%s", line)
	var reply struct{ Return json.RawMessage }
	require.NoError(v.t, json.Unmarshal(a.data, &reply))
	return reply.Return
}

// cpuState is what QEMU's monitor shows of a processor's flags:
//
//	RIP=ffffffff8102b1a5 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1
var cpuState = regexp.MustCompile(`FL=([0-9a-f]{8}) .* HLT=([01])`)

// Halted tells whether all processors have stopped for good: each waits for an
// interrupt, and takes none.
func (v *VM) Halted() bool {
	v.t.Helper()
	const takesInterrupts = 1 << 9
	var registers string
	require.NoError(v.t, json.Unmarshal(v.QMP("human-monitor-command", map[string]any{"command-line": "info registers -a"}), &registers))
	cpus := cpuState.FindAllStringSubmatch(registers, -1)
	require.NotEmpty(v.t, cpus, registers)
	for _, cpu := range cpus {
		flags, err := strconv.ParseUint(cpu[1], 16, 32)
		require.NoError(v.t, err)
		if cpu[2] == "0" || flags&takesInterrupts != 0 {
			return false
		}
	}
	return true
}

// Events returns QEMU's events so far.
func (v *VM) Events() []qmp.Event {
	v.monitor.mu.Lock()
	defer v.monitor.mu.Unlock()
	return append([]qmp.Event(nil), v.monitor.events...)
}

// WaitEvent waits for an event with these data. The first seen events are
// ones that the caller knows from Events.
func (v *VM) WaitEvent(seen int, name string, data map[string]any) {
	v.t.Helper()
	v.Until(time.Minute, "the event "+name, func() bool { return v.Happened(seen, name, data) })
}

// Happened tells whether there was an event with these data since the first
// seen ones.
func (v *VM) Happened(seen int, name string, data map[string]any) bool {
	return slices.ContainsFunc(v.Events()[seen:], func(event qmp.Event) bool {
		return event.Event == name && contains(event.Data, data)
	})
}

func contains(all, some map[string]any) bool {
	for key, value := range some {
		if all[key] != value {
			return false
		}
	}
	return true
}
