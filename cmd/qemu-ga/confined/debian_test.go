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

// administrator is the context of root's shell.
const administrator = "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"

// TestDebian is the agent in a full Debian, whose policy has no domain for it
// until our module brings one: the package, the unit, the labels and the
// programs are real.
func TestDebian(t *testing.T) {
	guest := vm.StartDebian(t, vm.Debian{
		Config: vm.Config{
			BzImage: true, KernelArgs: "security=selinux selinux=1 enforcing=1",
			Disks: []vm.Disk{{Name: "db", FS: "xfs"}, {Name: "fresh", FS: "ext4"}},
			Files: map[string]string{
				oldPackage: vm.AgentPackage(t, "deb", oldVersion),
				newPackage: vm.AgentPackage(t, "deb", newVersion),
			},
		},
		Variant: vm.SELinux,
	})
	d := &debian{VM: guest, t: t}
	d.must("chcon", "-t", "mysqld_db_t", "/mnt/db")
	d.must("useradd", "-m", "alice")
	d.Push("/etc/qemu/fsfreeze-hook", []byte("#!/bin/sh\necho $1 in $(id -Z) >>/run/hook.log\n"), 0o755)
	// The tests' own files have no labels yet.
	d.must("restorecon", "-R", "/home/alice", "/etc/qemu", "/root")

	for _, step := range []struct {
		name string
		run  func(*debian)
	}{
		{"package installed", debianPackage},
		{"ordinary work", debianWork},
		{"suspend", debianSuspend},
		{"denied", debianDenied},
		{"booleans", debianBooleans},
		{"package upgraded", debianUpgrade},
		{"package removed", debianRemove},
		{"without the module", debianWithout},
		{"qemu-ga policy --install", debianInstall},
		{"shutdown", debianShutdown}, // the last
	} {
		if !t.Run(step.name, func(t *testing.T) {
			step.run(&debian{VM: guest.In(t), t: t})
		}) {
			return // the next needs what this one did
		}
	}
}

// connect connects to the agent that runs.
func (d *debian) connect() {
	d.t.Helper()
	d.agent = d.Agent()
	d.agent.Sync(time.Minute)
}

// debianWithout: an agent that is put there by hand. Nothing confines it, and
// it says so.
func debianWithout(d *debian) {
	for path, source := range vm.AgentFiles(d.t) {
		if path == vm.AgentPath || strings.HasSuffix(path, "/system/"+unit) {
			d.PushFile(path, source)
			d.must("restorecon", path)
		}
	}
	d.Systemctl("daemon-reload")
	d.Systemctl("start", unit)
	d.connect()
	require.Contains(d.t, d.domain(), ":initrc_t:")
	status := string(d.agent.Call("x-selinux-status", nil))
	require.Contains(d.t, status, `"unconfined"`)
	// It gives the keys of ssh the label that the ssh server wants.
	d.must("chcon", "-R", "-t", "user_home_t", keyDir)
	d.addKey("ssh-ed25519 BBBB b")
	d.requireKeys("AAAA", "BBBB")
}

// debianInstall is what the administrator does for such an agent.
func debianInstall(d *debian) {
	said := d.asAdministrator("/usr/bin/qemu-ga policy --install")
	require.Contains(d.t, said, "Restart the agent: systemctl restart qemu-guest-agent")
	require.Contains(d.t, d.must("ls", "-Z", "/usr/bin/qemu-ga"), ":qemu_ga_exec_t:")
	require.Contains(d.t, d.must("ls", "-Z", "/etc/qemu/fsfreeze-hook"), ":qemu_ga_hook_exec_t:")
	d.Systemctl("restart", unit)
	d.connect()
	require.Contains(d.t, d.domain(), "system_u:system_r:qemu_ga_t:")
	require.Equal(d.t, "Enforcing", d.must("getenforce"))
}

// debianWork: the commands of every day, with no denial.
func debianWork(d *debian) {
	d.connect()
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
	d.switchMemory()
	require.Empty(d.t, d.denials())
	require.Contains(d.t, d.must("qemu-ga", "check"), "would be consistent")
}

// switchMemory takes a block of memory offline and online again.
func (d *debian) switchMemory() {
	d.t.Helper()
	var blocks []struct {
		Index uint64 `json:"phys-index"`
	}
	require.NoError(d.t, json.Unmarshal(d.agent.Call("guest-get-memory-blocks", nil), &blocks))
	var said []string
	for _, b := range blocks {
		for _, online := range []bool{false, true} {
			d.agent.Send("guest-set-memory-blocks", map[string]any{
				"mem-blks": []map[string]any{{"phys-index": b.Index, "online": online}},
			})
			answer, err := d.agent.Reply(systemLimit) // what lies there moves first
			require.NoError(d.t, err)
			said = append(said, string(answer))
		}
		if strings.Contains(said[len(said)-2], "success") { // the kernel needs some of them
			require.Contains(d.t, said[len(said)-1], "success")
			return
		}
	}
	require.Fail(d.t, "no block can be taken offline", "%v", said)
}

// debianSuspend: systemd lets the confined agent have the guest sleep.
func debianSuspend(d *debian) {
	d.connect()
	d.forget()
	seen := len(d.Events())
	d.agent.Send("guest-suspend-ram", nil) // which has no reply
	d.waitEvent(seen, "SUSPEND")
	d.QMP("system_wakeup", nil)
	d.waitEvent(seen, "WAKEUP")
	d.agent.Sync(systemLimit)
	d.Until(systemLimit, "systemd-suspend has ended", func() bool {
		return strings.Contains(d.Sh("journalctl -b -u systemd-suspend --no-pager"), "Deactivated successfully")
	})
	require.Empty(d.t, d.denials())
}

// debianDenied: what the module leaves closed is refused, with the reason and
// with what opens it.
func debianDenied(d *debian) {
	d.connect()
	d.forget()
	for _, c := range []struct {
		command string
		args    map[string]any
		opens   string
	}{
		{"guest-file-open", map[string]any{"path": "/etc/shadow"}, "qemu_ga_read_nonsecurity_files"},
		{"guest-file-open", map[string]any{"path": "/root/file", "mode": "w"}, "qemu_ga_manage_nonsecurity_files"},
		{"guest-file-open", map[string]any{"path": "/etc/qemu/fsfreeze-hook", "mode": "a"}, "qemu_ga_manage_nonsecurity_files"},
		{"guest-ssh-add-authorized-keys", map[string]any{"username": "alice", "keys": []string{"ssh-ed25519 AAAA a"}}, "qemu_ga_manage_ssh"},
	} {
		refused := d.agent.Fail(c.command, c.args).Desc
		d.t.Logf("%s: %s", c.command, refused)
		require.Contains(d.t, refused, "ermission denied", "%v", c.args)
		require.Contains(d.t, refused, "SELinux may deny it: the policy must let the agent's domain system_u:system_r:qemu_ga_t:s0")
		require.Contains(d.t, refused, "setsebool -P "+c.opens+" on")
	}
	require.NotContains(d.t, d.exec("/bin/sh", "-c", "cat /etc/shadow 2>&1; dd if=/dev/vda count=1 2>&1"), "root:")
	require.NotEmpty(d.t, d.denials())
}

// debianBooleans: the administrator opens what is closed.
func debianBooleans(d *debian) {
	d.connect()
	booleans := []string{"qemu_ga_run_unconfined", "qemu_ga_manage_ssh", "qemu_ga_manage_nonsecurity_files"}
	for _, name := range booleans {
		d.must("setsebool", name, "on")
	}
	require.Contains(d.t, d.exec("/bin/sh", "-c", "id -Z"), ":initrc_t:")
	require.Contains(d.t, d.exec("/usr/bin/id", "-Z"), ":initrc_t:")
	d.file("/root/file", "w")
	d.addKey("ssh-ed25519 AAAA a")
	d.requireKeys("AAAA")
	d.agent.Fail("guest-file-open", map[string]any{"path": "/etc/shadow"}) // no boolean for that
	for _, name := range booleans {
		d.must("setsebool", name, "off")
	}
}

// keyDir is where alice's keys are.
const keyDir = "/home/alice/.ssh"

// addKey lets somebody log in as alice.
func (d *debian) addKey(key string) {
	d.t.Helper()
	d.agent.Call("guest-ssh-add-authorized-keys", map[string]any{"username": "alice", "keys": []string{key}})
}

// requireKeys requires that the agent finds these keys, and the ssh server
// could: they are alice's, and have the label of which it may read files.
func (d *debian) requireKeys(keys ...string) {
	d.t.Helper()
	found := string(d.agent.Call("guest-ssh-get-authorized-keys", map[string]any{"username": "alice"}))
	for _, key := range keys {
		require.Contains(d.t, found, key)
	}
	for _, path := range []string{keyDir, keyDir + "/authorized_keys"} {
		require.Regexp(d.t, `^alice:alice \S+:ssh_home_t:s0$`, d.must("stat", "-c", "%U:%G %C", path), path)
	}
}

// debianShutdown: systemd lets the confined agent turn the guest off.
func debianShutdown(d *debian) {
	d.connect()
	seen := len(d.Events())
	d.agent.Send("guest-shutdown", nil)
	d.waitEvent(seen, "SHUTDOWN")
}

// waitEvent waits for what systemd takes its time to bring about.
func (d *debian) waitEvent(seen int, name string) {
	d.t.Helper()
	d.Until(systemLimit, "the event "+name, func() bool {
		for _, event := range d.Events()[seen:] {
			if event.Event == name {
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

// asAdministrator runs a script in the domain of an administrator's shell.
func (d *debian) asAdministrator(script string) string {
	d.t.Helper()
	return d.must("runcon", administrator, "/bin/sh", "-c", script)
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
	return d.denialsOf("qemu_ga_t")
}

// denialsOf are those since forget in whose line a pattern is.
func (d *debian) denialsOf(pattern string) string {
	d.t.Helper()
	return d.audited("denied.*(" + pattern + ")|(" + pattern + ").*denied")
}

// audited are the lines of the audit log since forget in which a pattern is.
func (d *debian) audited(pattern string) string {
	d.t.Helper()
	return d.must("/bin/sh", "-c",
		`tail -n +$(($(cat /run/audited) + 1)) /var/log/audit/audit.log | grep -aE "$1" || true`, "sh", pattern)
}
