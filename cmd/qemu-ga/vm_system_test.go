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
		{"suspend-ram", testSystemSuspend("guest-suspend-ram")},
		{"suspend-hybrid", testSystemHybrid},
		{"reboot", testSystemReboot},
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
	ran := v.Try(time.Minute, "/bin/sh", "-c", "runuser -u nobody -- su "+user+" -c 'id -un' </run/password")
	println("DEBUG", ran.Status, ran.Output)
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
	v.Sh("rm -f /run/utmp; systemd-run -q --unit=session -p PAMName=login -p User=jo sleep infinity")
	t.Cleanup(func() { v.Systemctl("stop", "session") })
	v.Until(systemLimit, "jo has a session", func() bool {
		return strings.Contains(v.Sh("loginctl list-sessions"), " jo ")
	})
	println("DEBUG", v.Sh("cat /run/systemd/sessions/*; ls -la /run/systemd/sessions /run/utmp"))
	var users []struct {
		User  string
		Since float64 `json:"login-time"`
	}
	require.NoError(t, json.Unmarshal(agent.Call("guest-get-users", nil), &users))
	require.Len(t, users, 1)
	require.Equal(t, "jo", users[0].User)
	require.InDelta(t, float64(seconds(t, v, "date +%s")), users[0].Since, 600)
}

// sleeps has the guest sleep, sees it from the host, and wakes it.
func sleeps(t *testing.T, v *vm.VM, agent *vm.Agent, command string) {
	t.Helper()
	seen := len(v.Events())
	agent.Send(command, nil) // which has no reply
	waitEvent(v, seen, "SUSPEND")
	v.QMP("system_wakeup", nil)
	waitEvent(v, seen, "WAKEUP")
	agent.Sync(systemLimit)
}

func testSystemSuspend(command string) func(*testing.T, *vm.VM, *vm.Agent) {
	return func(t *testing.T, v *vm.VM, agent *vm.Agent) {
		sleeps(t, v, agent, command)
		require.Contains(t, v.Sh("journalctl -b --no-pager"), "systemd-suspend.service: Deactivated successfully")
	}
}

func testSystemHybrid(t *testing.T, v *vm.VM, agent *vm.Agent) {
	v.Sh("mkswap -q " + v.GuestDisk("swap") + " && swapon " + v.GuestDisk("swap"))
	sleeps(t, v, agent, "guest-suspend-hybrid")
	require.Contains(t, v.Sh("journalctl -b --no-pager"), "systemd-hybrid-sleep.service: Deactivated successfully")
}

func testSystemReboot(_ *testing.T, v *vm.VM, agent *vm.Agent) {
	seen := len(v.Events())
	agent.Send("guest-shutdown", args{"mode": "reboot"})
	waitEvent(v, seen, "RESET")
	agent.Sync(systemLimit)
}

func testSystemPowerdown(_ *testing.T, v *vm.VM, agent *vm.Agent) {
	seen := len(v.Events())
	agent.Send("guest-shutdown", nil)
	waitEvent(v, seen, "SHUTDOWN")
}
