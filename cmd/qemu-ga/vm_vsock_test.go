package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
	"qemu-ga/cmd/internal/vm/control"
)

const (
	vsockPort  = 1234
	cidLocal   = 1 // of vsock_loopback
	cidHost    = 2
	cidGuest   = 3
	cidSibling = 4
	notRoot    = 1000
	// maxIdleFiles is more than an agent has open that serves two hosts.
	maxIdleFiles = 20
	pingRequest  = `{"execute":"guest-ping"}`
)

// TestVMVsock has two guests on one vsock. Only the host is served in the
// first, whoever else connects and however long that stays connected. The
// same is tried on the real qemu-ga, which serves them all: so a test that
// proves nothing would be seen.
func TestVMVsock(t *testing.T) {
	const other = "/other"
	network := vm.StartVsock(t, cidGuest, cidSibling)
	v := vm.Start(t, vm.Config{
		Vsock: network.Device(cidGuest), Modules: []string{"vsock_loopback"},
		Files: map[string]string{other: vm.Reference(t)},
	})
	sibling := vm.Start(t, vm.Config{Vsock: network.Device(cidSibling), NoAgentPort: true})
	for _, agent := range []vsockAgent{
		{"ours", vm.AgentPath, false},
		{"the real qemu-ga", other + "/qemu-ga", true},
	} {
		t.Run(agent.name, func(t *testing.T) {
			s := &vsockScene{t: t, network: network, v: v.In(t), sibling: sibling.In(t), agent: agent}
			t.Run("strangers", s.strangers)
			t.Run("one that holds", s.holder)
			if !agent.servesAll {
				t.Run("many that hold", s.crowd)
				t.Run("allowed", s.allowed)
			}
		})
	}
}

// vsockAgent is an agent to be tried.
type vsockAgent struct {
	name, path string
	servesAll  bool // whoever comes is served, one at a time
}

type vsockScene struct {
	t          *testing.T
	network    *vm.Vsock
	v, sibling *vm.VM
	agent      vsockAgent
	pid        int // of the agent that runs
}

// start starts the agent, and ends it with the test.
func (s *vsockScene) start(t *testing.T, options ...string) *vm.VM {
	t.Helper()
	v := s.v.In(t)
	s.pid = v.StartProgram(vm.AgentProgram, append([]string{
		s.agent.path, "-m", "vsock-listen", "-t", "/run",
		"-p", fmt.Sprintf("4294967295:%d", vsockPort),
	}, options...)...)
	t.Cleanup(func() {
		v.VsockRelease()
		stopAgent(t, v)
	})
	return v
}

// host connects the host as soon as the agent listens.
func (s *vsockScene) host(t *testing.T) (host *vm.Agent) {
	t.Helper()
	s.v.Until(settle, "the agent listens", func() bool {
		var err error
		host, err = s.network.Dial(t, cidGuest, vsockPort)
		return err == nil
	})
	return host
}

// strangers each try to get root by guest-exec, and then the host is served.
func (s *vsockScene) strangers(t *testing.T) {
	v := s.start(t)
	host := s.host(t)
	require.JSONEq(t, "{}", string(host.Call("guest-ping", nil)))
	host.Close()
	for i, stranger := range []struct {
		name string
		from *vm.VM
		control.Vsock
	}{
		{"a user of the guest, over CID 1", v, control.Vsock{CID: cidLocal, UID: notRoot}},
		{"a user of the guest, over the guest's own CID", v, control.Vsock{CID: cidGuest, UID: notRoot}},
		{"the guest's root", v, control.Vsock{CID: cidLocal}},
		{"another guest", s.sibling.In(t), control.Vsock{CID: cidGuest}},
	} {
		mark := fmt.Sprintf("/tmp/stranger-%d", i)
		stranger.Port = vsockPort
		stranger.Send = fmt.Sprintf(`{"execute":"guest-exec","arguments":{"path":"/bin/sh","arg":["-c","id -u > %s"]}}`, mark)
		reply := stranger.from.Vsock(stranger.Vsock)
		if s.agent.servesAll {
			require.Contains(t, reply.Line, `"pid"`, "%s: %s", stranger.name, reply.Error)
			v.Until(settle, stranger.name+" has root", func() bool {
				return v.Try(settle, "grep", "-qx", "0", mark).Status == 0
			})
			v.Sh("rm " + mark)
			continue
		}
		require.Empty(t, reply.Line, stranger.name)
		require.NotEmpty(t, reply.Error, stranger.name)
		require.NotZero(t, v.Try(settle, "test", "-e", mark).Status, "%s ran a program", stranger.name)
	}
	// Nobody in the guest can pass for the host.
	forged := v.Vsock(control.Vsock{CID: cidGuest, Port: vsockPort, From: cidHost, Send: pingRequest})
	require.Contains(t, forged.Error, "cannot assign requested address")
	require.JSONEq(t, "{}", string(s.host(t).Call("guest-ping", nil)))
}

// holder is a stranger who comes first and stays.
func (s *vsockScene) holder(t *testing.T) {
	v := s.start(t)
	s.host(t).Close() // the agent listens
	s.hold(t, v, 1)
	host := s.host(t)
	host.Send("guest-ping", nil)
	if s.agent.servesAll {
		_, err := host.Reply(2 * time.Second)
		require.Error(t, err, "the host is served beside the stranger")
		require.Equal(t, 1, v.VsockRelease())
	}
	reply, err := host.Reply(settle)
	require.NoError(t, err)
	require.JSONEq(t, "{}", string(reply))
}

// crowd is more strangers than an agent has places for clients.
func (s *vsockScene) crowd(t *testing.T) {
	v := s.start(t)
	before := s.host(t)
	s.hold(t, v, 100)
	require.JSONEq(t, "{}", string(before.Call("guest-ping", nil)))
	require.JSONEq(t, "{}", string(s.host(t).Call("guest-ping", nil)))
	// All that the strangers had was closed.
	v.Until(settle, "descriptors are closed", func() bool {
		open := strings.Fields(v.Sh(fmt.Sprintf("ls /proc/%d/fd", s.pid)))
		return len(open) < maxIdleFiles
	})
}

// hold makes strangers connect and stay.
func (s *vsockScene) hold(t *testing.T, v *vm.VM, n int) {
	t.Helper()
	for range n {
		request := ""
		if s.agent.servesAll { // it has been accepted when it is answered
			request = pingRequest
		}
		reply := v.Vsock(control.Vsock{CID: cidLocal, Port: vsockPort, UID: notRoot, Send: request, Hold: true})
		require.Equal(t, s.agent.servesAll, strings.TrimSpace(reply.Line) == `{"return": {}}`, "%+v", reply)
	}
}

// allowed are the peers that an administrator names, and no other.
func (s *vsockScene) allowed(t *testing.T) {
	v := s.start(t, fmt.Sprintf("--vsock-allow-cids=%d", cidSibling))
	ask := func(from *vm.VM, cid uint32) string {
		return strings.TrimSpace(from.Vsock(control.Vsock{CID: cid, Port: vsockPort, Send: pingRequest}).Line)
	}
	v.Until(settle, "the agent serves the other guest", func() bool {
		return ask(s.sibling.In(t), cidGuest) == `{"return": {}}`
	})
	require.Empty(t, ask(v, cidLocal))
	host, err := s.network.Dial(t, cidGuest, vsockPort)
	if err == nil {
		_, err = host.Reply(settle) // the end of the connection
	}
	require.Error(t, err, "the host is not on the list")
	for _, cid := range []int{cidLocal, cidHost} {
		v.Until(settle, "the refusal is in the log", func() bool {
			return strings.Contains(v.Wait(vm.AgentProgram, 0).Output, fmt.Sprintf("vsock cid %d is not allowed (vsock-allow-cids)", cid))
		})
	}
}
