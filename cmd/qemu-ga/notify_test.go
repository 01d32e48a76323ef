package main

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// manager is the end of sd_notify(3) that a service manager has.
type manager struct {
	mu    sync.Mutex
	words []string
}

// startManager SOCKET listens for what services tell.
func startManager(ts *testscript.TestScript, _ bool, args []string) {
	m := ts.Value("manager").(*manager)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: ts.MkAbs(args[0]), Net: "unixgram"})
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	go func() {
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.words = append(m.words, string(buf[:n]))
			m.mu.Unlock()
		}
	}()
}

// told WORD waits until the manager has been told something, and forgets
// everything up to that; ! told WORD says that it has not been told by now.
func told(ts *testscript.TestScript, neg bool, args []string) {
	m := ts.Value("manager").(*manager)
	has := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		i := slices.Index(m.words, args[0])
		if i >= 0 {
			m.words = m.words[i+1:]
		}
		return i >= 0
	}
	if neg {
		if has() {
			ts.Fatalf("the manager was told %s", args[0])
		}
		return
	}
	until(ts, args[0], has)
}

// A service manager that is stuck, with its socket full, holds nobody up.
func TestTellNobodyReads(t *testing.T) {
	path := t.TempDir() + "/s"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close()
	n := notifier{socket: path}
	begun := time.Now()
	for err == nil {
		err = n.tell("WATCHDOG=1")
		require.Less(t, time.Since(begun), scriptLimit, "nobody reads, and nothing is full")
	}
	require.ErrorContains(t, err, "cannot tell the service manager WATCHDOG=1: ")
	require.ErrorContains(t, notifier{socket: path + "2"}.tell("READY=1"), "no such file or directory")
	require.NoError(t, notifier{}.tell("READY=1"))
}

func TestTakeNotifier(t *testing.T) {
	for name, c := range map[string]struct {
		usec, pid string
		want      time.Duration
	}{
		"none":              {"", "", 0},
		"ours":              {"3000000", "", 1500 * time.Millisecond},
		"another process":   {"3000000", "1", 0},
		"not a number":      {"soon", "", 0},
		"less than nothing": {"-1", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NOTIFY_SOCKET", "/s")
			t.Setenv("WATCHDOG_USEC", c.usec)
			t.Setenv("WATCHDOG_PID", c.pid)
			require.Equal(t, notifier{"/s", c.want}, takeNotifier())
			require.Equal(t, notifier{}, takeNotifier(), "it is taken once")
		})
	}
}
