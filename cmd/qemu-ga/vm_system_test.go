package main_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// systemLimit is how long systemd may take to carry something out on a busy
// machine.
const systemLimit = 4 * time.Minute

// TestVMSystem has a whole Debian do what a host asks of it: PAM judges the
// password, logind knows who is there, systemd sleeps and ends.
func TestVMSystem(t *testing.T) {
	v := vm.StartDebian(t, vm.Debian{Config: vm.Config{
		BzImage: true, Files: vm.AgentFiles(t), Disks: []vm.Disk{{Name: "swap", SizeMiB: 1024}},
	}})
	agent := v.Agent()
	agent.Sync(settle)
	v.Sh("useradd -m jo")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *vm.VM, *vm.Agent)
	}{
		{"log in with a new password", testLogIn},
		{"users without utmp", testUsersByLogind},
		{"suspend-ram", testSystemSuspend},
		{"suspend-hybrid", testSystemHybrid},
		// This is the guest's end.
		{"powerdown", testSystemPowerdown},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, v.In(t), agent) })
	}
}

// waitEvent waits for what systemd takes its time to bring about.
func waitEvent(v *vm.VM, seen int, name string) {
	v.Until(systemLimit, "the event "+name, func() bool {
		for _, event := range v.Events()[seen:] {
			if event.Event == name {
				return true
			}
		}
		return false
	})
}

// canLogIn tells whether PAM lets a user in with a password: as su(1) asks it
// for a user who is not root.
func canLogIn(v *vm.VM, user, password string) bool {
	v.Push("/run/password", []byte(password+"\n"), 0o644)
	ran := v.Try(systemLimit, "/bin/sh", "-c", "runuser -u nobody -- su "+user+" -c 'id -un' </run/password")
	return ran.Status == 0 && strings.Contains(ran.Stdout, user)
}

func testLogIn(t *testing.T, v *vm.VM, agent *vm.Agent) {
	set := func(user, password string, crypted bool) {
		t.Helper()
		agent.Call("guest-set-user-password", args{
			"username": user, "password": base64.StdEncoding.EncodeToString([]byte(password)), "crypted": crypted,
		})
	}
	require.False(t, canLogIn(v, "jo", "sw0rdfish"))
	set("jo", "sw0rdfish", false)
	require.True(t, canLogIn(v, "jo", "sw0rdfish"))
	require.False(t, canLogIn(v, "jo", "swordfish"))
	set("jo", "a:b $x 'ü'", false)
	require.True(t, canLogIn(v, "jo", "a:b $x 'ü'"))

	hash := strings.TrimSpace(v.Sh("perl -e 'print crypt(q(crypted one), q($6$saltsalt$))'"))
	require.True(t, strings.HasPrefix(hash, "$6$"), hash)
	set("jo", hash, true)
	require.True(t, canLogIn(v, "jo", "crypted one"))
	require.False(t, canLogIn(v, "jo", hash))
	journal := v.Sh("journalctl -b -u qemu-guest-agent --no-pager")
	require.Contains(t, journal, "guest-set-user-password called, user: jo, result: success")
	for _, secret := range []string{"sw0rdfish", "saltsalt", base64.StdEncoding.EncodeToString([]byte("sw0rdfish"))} {
		require.NotContains(t, journal, secret)
	}
}

func testUsersByLogind(t *testing.T, v *vm.VM, agent *vm.Agent) {
	// A session that logind takes for that of a person.
	v.Sh("rm -f /run/utmp; systemd-run -q --unit=session -p PAMName=login -p User=jo -p Environment=XDG_SESSION_CLASS=user sleep infinity")
	t.Cleanup(func() { v.Systemctl("stop", "session") })
	var users []struct {
		User  string
		Since float64 `json:"login-time"`
	}
	v.Until(systemLimit, "jo has a session", func() bool {
		require.NoError(t, json.Unmarshal(agent.Call("guest-get-users", nil), &users))
		return len(users) > 0
	})
	require.Len(t, users, 1)
	require.Equal(t, "jo", users[0].User)
	require.InDelta(t, float64(seconds(t, v, "date +%s")), users[0].Since, 600)
}

// sleeps has the guest sleep by a unit of systemd's, sees it from the host, and
// wakes it.
func sleeps(v *vm.VM, agent *vm.Agent, command, unit string) {
	seen := len(v.Events())
	agent.Send(command, nil) // which has no reply
	waitEvent(v, seen, "SUSPEND")
	v.QMP("system_wakeup", nil)
	waitEvent(v, seen, "WAKEUP")
	agent.Sync(systemLimit)
	v.Until(systemLimit, unit+" has ended", func() bool {
		return strings.Contains(v.Sh("journalctl -b -u "+unit+" --no-pager"), "Deactivated successfully")
	})
}

func testSystemSuspend(_ *testing.T, v *vm.VM, agent *vm.Agent) {
	sleeps(v, agent, "guest-suspend-ram", "systemd-suspend")
}

func testSystemHybrid(_ *testing.T, v *vm.VM, agent *vm.Agent) {
	v.Sh("mkswap -q " + v.GuestDisk("swap") + " && swapon " + v.GuestDisk("swap"))
	sleeps(v, agent, "guest-suspend-hybrid", "systemd-hybrid-sleep")
}

func testSystemPowerdown(_ *testing.T, v *vm.VM, agent *vm.Agent) {
	seen := len(v.Events())
	agent.Send("guest-shutdown", nil)
	waitEvent(v, seen, "SHUTDOWN")
}
