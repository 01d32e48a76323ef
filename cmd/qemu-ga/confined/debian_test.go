package confined_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// systemLimit is for what takes long on a busy machine: semodule, which links
// the whole policy anew, and a shutdown.
const systemLimit = 10 * time.Minute

// debian is a full guest that has booted enforcing.
type debian struct {
	*vm.VM
	t     *testing.T
	agent *vm.Agent
}

// TestDebian is the agent in a full Debian, whose policy has no domain for it
// until our module brings one: the unit, the labels and the programs are real.
func TestDebian(t *testing.T) {
	guest := vm.StartDebian(t, vm.Debian{
		Config: vm.Config{
			Files: vm.AgentFiles(t), KernelArgs: "security=selinux selinux=1 enforcing=1",
			Disks: []vm.Disk{{Name: "db", FS: "xfs"}, {Name: "fresh", FS: "ext4"}},
		},
		Variant: vm.SELinux,
	})
	d := &debian{VM: guest, t: t}
	// Files that were put into the image have no labels yet.
	d.must("restorecon", "-R", "/etc/systemd", "/usr/bin/qemu-ga")
	d.must("systemctl", "restart", "qemu-guest-agent")
	d.must("chcon", "-t", "mysqld_db_t", "/mnt/db")
	d.must("useradd", "-m", "alice")
	d.must("restorecon", "-R", "/home/alice")
	d.Push("/etc/qemu/fsfreeze-hook", []byte("#!/bin/sh\necho $1 in $(id -Z) >>/run/hook.log\n"), 0o755) // labelled by --install
	d.Push("/etc/qemu/qemu-ga.conf", []byte("[general]\nfsfreeze-hook=/etc/qemu/fsfreeze-hook\n"), 0o644)

	for _, step := range []struct {
		name string
		run  func(*debian)
	}{
		{"without the module", debianWithout},
		{"qemu-ga policy --install", debianInstall},
		{"ordinary work", debianWork},
		{"denied", debianDenied},
		{"booleans", debianBooleans},
		{"shutdown", debianShutdown}, // the last
	} {
		if !t.Run(step.name, func(t *testing.T) {
			d := &debian{VM: guest.In(t), t: t}
			d.agent = d.Agent()
			d.agent.Sync(time.Minute)
			step.run(d)
		}) {
			return // the next needs what this one did
		}
	}
}

// debianWithout: nothing confines the agent, and it says so.
func debianWithout(d *debian) {
	require.Contains(d.t, d.domain(), ":initrc_t:")
	status := string(d.agent.Call("x-selinux-status", nil))
	require.Contains(d.t, status, `"unconfined"`)
}

// debianInstall is what the administrator does.
func debianInstall(d *debian) {
	said := d.must("runcon", "unconfined_u:unconfined_r:unconfined_t:s0", "/usr/bin/qemu-ga", "policy", "--install")
	require.Contains(d.t, said, "Restart the agent: systemctl restart qemu-guest-agent")
	require.Contains(d.t, d.must("ls", "-Z", "/usr/bin/qemu-ga"), ":qemu_ga_exec_t:")
	require.Contains(d.t, d.must("ls", "-Z", "/etc/qemu/fsfreeze-hook"), ":qemu_ga_hook_exec_t:")
	d.must("systemctl", "restart", "qemu-guest-agent")
	d.agent.Sync(time.Minute)
	require.Contains(d.t, d.domain(), "system_u:system_r:qemu_ga_t:")
	require.Equal(d.t, "Enforcing", d.must("getenforce"))
}

// debianWork: the commands of every day, with no denial.
func debianWork(d *debian) {
	d.forget()
	for _, command := range asking {
		d.agent.Call(command, nil)
	}
	require.Equal(d.t, 3, number(d.t, d.agent.Call("guest-fsfreeze-freeze", nil)))
	for _, accepted := range d.Accepts(time.Second, "/", "/mnt/db", "/mnt/fresh") {
		require.True(d.t, accepted.Blocked, accepted.Path)
	}
	require.Equal(d.t, 3, number(d.t, d.agent.Call("guest-fsfreeze-thaw", nil)))
	// Hooks are the administrator's.
	require.Equal(d.t, "freeze in system_u:system_r:initrc_t:s0\nthaw in system_u:system_r:initrc_t:s0\n",
		string(d.Pull("/run/hook.log")))
	d.agent.Call("guest-fstrim", nil)
	require.Contains(d.t, d.exec("/bin/sh", "-c", "id -Z; cat /etc/hostname"), ":qemu_ga_t:s0\ndebian\n")
	d.file("/tmp/mine", "w")
	d.file("/etc/hostname", "r")
	d.agent.Call("guest-set-user-password", map[string]any{
		"username": "alice", "password": base64.StdEncoding.EncodeToString([]byte("secret")), "crypted": false,
	})
	require.Contains(d.t, string(d.Pull("/etc/shadow")), "alice:$")
	d.agent.Call("guest-set-time", map[string]any{"time": time.Now().UnixNano()})
	for _, online := range []bool{false, true} {
		d.agent.Call("guest-set-vcpus", map[string]any{"vcpus": []map[string]any{{"logical-id": 1, "online": online}}})
	}
	require.Empty(d.t, d.denials())
	require.Contains(d.t, d.must("qemu-ga", "check"), "would be consistent")
}

// debianDenied: what the module leaves closed is refused, with the reason.
func debianDenied(d *debian) {
	for _, c := range []struct {
		command string
		args    map[string]any
	}{
		{"guest-file-open", map[string]any{"path": "/etc/shadow"}},
		{"guest-file-open", map[string]any{"path": "/root/file", "mode": "w"}},
		{"guest-file-open", map[string]any{"path": "/etc/qemu/fsfreeze-hook", "mode": "a"}},
		{"guest-ssh-add-authorized-keys", map[string]any{"username": "alice", "keys": []string{"ssh-ed25519 AAAA a"}}},
	} {
		refused := d.agent.Fail(c.command, c.args).Desc
		d.t.Logf("%s: %s", c.command, refused)
		require.Contains(d.t, refused, "ermission denied", "%v", c.args)
	}
	require.NotContains(d.t, d.exec("/bin/sh", "-c", "cat /etc/shadow 2>&1; dd if=/dev/vda count=1 2>&1"), "root:")
	require.NotEmpty(d.t, d.denials())
}

// debianBooleans: the administrator opens what is closed.
func debianBooleans(d *debian) {
	d.must("setsebool", "qemu_ga_run_unconfined", "on")
	d.must("setsebool", "qemu_ga_manage_ssh", "on")
	d.must("setsebool", "qemu_ga_manage_nonsecurity_files", "on")
	require.Contains(d.t, d.exec("/bin/sh", "-c", "id -Z"), ":initrc_t:")
	require.Contains(d.t, d.exec("/usr/bin/id", "-Z"), ":initrc_t:")
	d.file("/root/file", "w")
	d.agent.Call("guest-ssh-add-authorized-keys",
		map[string]any{"username": "alice", "keys": []string{"ssh-ed25519 AAAA a"}})
	require.Contains(d.t, string(d.agent.Call("guest-ssh-get-authorized-keys", map[string]any{"username": "alice"})), "AAAA")
	require.Contains(d.t, d.must("ls", "-Z", "/home/alice/.ssh/authorized_keys"), ":ssh_home_t:")
	d.agent.Fail("guest-file-open", map[string]any{"path": "/etc/shadow"}) // no boolean for that
	for _, name := range []string{"qemu_ga_run_unconfined", "qemu_ga_manage_ssh", "qemu_ga_manage_nonsecurity_files"} {
		d.must("setsebool", name, "off")
	}
}

// debianShutdown: systemd lets the confined agent turn the guest off.
func debianShutdown(d *debian) {
	seen := len(d.Events())
	d.agent.Send("guest-shutdown", nil)
	d.Until(systemLimit, "the guest is off", func() bool {
		for _, event := range d.Events()[seen:] {
			if event.Event == "SHUTDOWN" {
				return true
			}
		}
		return false
	})
}

// must runs a program in the guest, which must succeed, and returns what it
// wrote.
func (d *debian) must(argv ...string) string {
	d.t.Helper()
	ran := d.Try(systemLimit, argv...)
	require.False(d.t, ran.TimedOut, "%v does not end", argv)
	require.Zero(d.t, ran.Status, "%v: %s", argv, ran.Output)
	return strings.TrimSpace(ran.Output)
}

// domain is the context of the unit's process.
func (d *debian) domain() string {
	d.t.Helper()
	return d.must("/bin/sh", "-c", "cat /proc/$(systemctl show -P MainPID qemu-guest-agent)/attr/current | tr -d '\\0'")
}

func (d *debian) exec(path string, args ...string) string {
	d.t.Helper()
	return execBy(d.t, d.agent, path, args...)
}

// file opens and closes a file through the agent.
func (d *debian) file(path, mode string) {
	d.t.Helper()
	var handle int64
	require.NoError(d.t, json.Unmarshal(d.agent.Call("guest-file-open", map[string]any{"path": path, "mode": mode}), &handle))
	d.agent.Call("guest-file-close", map[string]any{"handle": handle})
}

// forget makes denials begin anew.
func (d *debian) forget() {
	d.t.Helper()
	d.must("/bin/sh", "-c", "grep -ac . /var/log/audit/audit.log >/run/audited")
}

// denials are those of the agent since forget.
func (d *debian) denials() string {
	d.t.Helper()
	return d.must("/bin/sh", "-c",
		`tail -n +$(($(cat /run/audited) + 1)) /var/log/audit/audit.log | grep -a "denied.*qemu_ga_t" || true`)
}
