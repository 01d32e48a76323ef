package vm

import (
	"context"
	"encoding/json"
	"errors"
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
	v.Until(20*time.Second, "the event "+name, func() bool {
		for _, event := range v.Events()[seen:] {
			if event.Event == name && contains(event.Data, data) {
				return true
			}
		}
		return false
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
