package ground_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/freeze/freezetest"
)

const (
	// crowd is as many clients as an agent serves at once, less one.
	crowd = 15
	// largest is the most that a client may read at once, in bytes.
	largest = 48 << 20
	// maxReplyPeak is how much memory it may have for replies, in kB: two of
	// the largest, and as much that is to be collected.
	maxReplyPeak = 192 << 10
	// maxPeak is how much memory an agent may ever have, in kB: four requests
	// as large as may be take most of it.
	maxPeak = 640 << 10
	// keptPart is which part of the most that it ever had an agent keeps at rest,
	// at most: Go's notes about the heap stay.
	keptPart = 50
)

// TestMemoryOfACrowd has as many clients as may come ask for as much as they
// may ask for, all at once, and read nothing; and others send requests as
// large as they may be. The agent's memory is bounded, one more client is
// served all the time, and in the end nearly all of it is given back.
func TestMemoryOfACrowd(t *testing.T) {
	freezetest.Need(t)
	s := &scene{T: t, probes: make(map[string]*prober)}
	t.Cleanup(s.clear)
	s.agent = newAgent(t, ours, []string{"-l", os.DevNull, fmt.Sprintf("--file-read-limit=%d", largest)})
	s.agent.start()
	host := dial(s.agent)
	require.Equal(t, pingReply, host.ask(doPing))
	before := s.rest()
	file := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, 2*largest))

	served := func(what string) {
		require.Equal(t, pingReply, host.ask(doPing), what)
		t.Logf("%s: %d kB resident, at most %d", what, s.procStatus("VmRSS"), s.peak())
	}
	for i, path := range []string{file, "/dev/zero"} {
		deaf := s.crowd(func(c net.Conn) {
			_, _ = fmt.Fprintf(c, `{"execute":"guest-file-open","arguments":{"path":"%s"}}`, path)
			var handle int
			_, _ = fmt.Fscanf(c, "{\"return\": %d}\n", &handle)
			_, _ = fmt.Fprintf(c, `{"execute":"guest-file-read","arguments":{"handle":%d,"count":%d}}`, handle, largest)
			first := make([]byte, 1)
			_, _ = io.ReadFull(c, first) // the reply has begun
		})
		served("deaf to reads of " + path)
		for _, c := range deaf {
			require.NoError(t, c.Close())
		}
		require.Less(t, s.peak(), maxReplyPeak)
		// Their files stay open; the rest of them is gone soon.
		require.Eventually(t, func() bool { return s.descriptors() <= before.files+crowd*(i+1) }, soon, 10*time.Millisecond)
	}
	large := s.crowd(func(c net.Conn) {
		_ = c.SetWriteDeadline(time.Now().Add(soon))
		_, _ = io.WriteString(c, `{"execute":"guest-ping","id":"`)
		for range 63 { // and no end
			_, _ = io.WriteString(c, strings.Repeat("a", 1<<20))
		}
	})
	served("requests as large as can be")
	for _, c := range large {
		require.NoError(t, c.Close())
	}
	after := s.rest().memory
	t.Logf("at rest: %d kB resident, %d before", after, before.memory)
	require.Less(t, s.peak(), maxPeak)
	require.Less(t, after, before.memory+s.peak()/keptPart)
}

// crowd has a number of clients do the same at once.
func (s *scene) crowd(do func(net.Conn)) (clients []net.Conn) {
	s.Helper()
	done := make(chan struct{})
	for range crowd {
		c, err := net.Dial("unix", s.agent.socket)
		require.NoError(s, err)
		clients = append(clients, c)
		go func() {
			do(c)
			done <- struct{}{}
		}()
	}
	for range crowd {
		select {
		case <-done:
		case <-time.After(6 * soon):
			s.Fatal("a client is stuck")
		}
	}
	return clients
}
