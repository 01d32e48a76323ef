package confined_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm/control"
)

// all are the names of the scratch guest's filesystems.
var all = []string{"boot", "db", "fresh", "alice", "garbled"}

// TestVendor is the agent in Fedora's domain, as far as the stand-in is it. The
// guest is one; policies are loaded, and enforcement is switched, as it runs.
func TestVendor(t *testing.T) {
	s := newScene(t)
	t.Run("no policy", func(t *testing.T) { noPolicy(s.in(t)) })
	s.load(before)
	s.label()
	for _, c := range []struct {
		name    string
		policy  variant
		enforce bool
		run     func(*scene)
	}{
		{"without the module", before, true, withoutModule},
		{"with the module", after, true, withModule},
		{"files stay closed", after, true, filesStayClosed},
		{"check by an administrator", before, true, checkedByAdministrator},
		{"permissive", before, false, permissive},
		{"permissive domain", permissiveDomain, true, permissive},
		{"unconfined", before, true, unconfined},
		{"mislabelled program", before, true, mislabelled},
		{"only the ioctl denied", noIoctls, true, ioctlDenied},
		{"thaw denied", noIoctls, true, thawDenied},
		{"enforced while frozen", before, false, enforcedWhileFrozen},
		{"without CAP_SYS_ADMIN", after, true, withoutAdmin},
		{"selinuxfs absent", after, true, selinuxfsAbsent},
		{"selinuxfs read-only", after, true, selinuxfsReadOnly},
		{"vsock", after, true, vsockServed},
		{"ssh keys", before, true, sshKeys},
		{"hook by a link", before, true, hookByLink},
		{"hook confined, and not", before, true, hookConfined},
		{"label that is no context", after, true, labelGarbled},
		{"access answers rubbish", after, true, accessGarbled},
		{"policy without the classes", after, true, classesMissing},
		{"own domain", own, true, ownDomain},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.in(t)
			s.load(c.policy)
			s.enforce(c.enforce)
			s.forgetDenials()
			c.run(s)
			s.requireFrozen()
		})
	}
}

// noPolicy: SELinux is on, but knows no rules yet, as early in the boot.
func noPolicy(s *scene) {
	s.startAgent()
	s.requireState("off")
	s.freezeAll()
}

// withoutModule: one error for everything, and nothing happens.
func withoutModule(s *scene) {
	s.startAgent()
	require.Equal(s.t, "system_u:system_r:virt_qemu_ga_t:s0", s.domain())
	s.requireState("confined")
	refused := s.agent.Fail("guest-fsfreeze-freeze", nil).Desc
	s.t.Log(refused)
	for _, part := range []string{"SELinux", "virt_qemu_ga_t", "/mnt/db", "/mnt/fresh", "/mnt/alice", "dac_read_search", "qemu-ga policy"} {
		require.Contains(s.t, refused, part)
	}
	// A type that the domain may not even look at hides its label.
	require.Contains(s.t, refused, "the directory, whose label is hidden from that domain, too (ls -dZ /mnt/db shows it)")
	require.NotContains(s.t, refused, "/mnt/boot")
	s.requireFrozen()
	require.JSONEq(s.t, `"thawed"`, string(s.agent.Call("guest-fsfreeze-status", nil)))
	s.agent.Call("guest-fsfreeze-freeze-list", list("/mnt/boot"))
	s.requireFrozen("boot")
	s.agent.Call("guest-fsfreeze-thaw", nil)
}

// withModule: everything freezes, thaws and is trimmed, and the log is quiet.
func withModule(s *scene) {
	s.startAgent()
	require.Equal(s.t, "system_u:system_r:virt_qemu_ga_t:s0", s.domain())
	s.requireState("confined")
	s.freezeAll()
	s.trimAll()
	s.freezeAll()
	s.agent.Call("guest-get-fsinfo", nil)
	require.Empty(s.t, s.denials())
}

// filesStayClosed: what lies in the directories is as far away as before.
func filesStayClosed(s *scene) {
	if s.agent == nil {
		s.startAgent()
	}
	const table = "/mnt/db/table"
	for _, mode := range []string{"r", "r+", "w", "a"} {
		refused := s.agent.Fail("guest-file-open", map[string]any{"path": table, "mode": mode}).Desc
		require.Contains(s.t, refused, "Permission denied", mode)
	}
	s.agent.Fail("guest-file-open", map[string]any{"path": "/mnt/db/new", "mode": "w"})
	require.NotContains(s.t, s.exec("cat", table), "secret")
	require.Contains(s.t, s.exec("ls", "/mnt/db"), "table", "the directory itself can be read")
	require.Equal(s.t, "secret\n", s.Sh("cat "+table))
	// The rules hold for all that an ioctl on a directory can do.
	require.NotEmpty(s.t, s.denials())
}

// permissive: what would be denied is logged and happens.
func permissive(s *scene) {
	s.startAgent()
	s.requireState(strings.ReplaceAll(strings.TrimPrefix(s.t.Name(), "TestVendor/"), "_", "-"))
	s.freezeAll()
	require.NotEmpty(s.t, s.denials())
}

// unconfined: an agent that an administrator has started by hand.
func unconfined(s *scene) {
	s.startIn("unconfined_u:unconfined_r:unconfined_t:s0", "exec")
	require.Equal(s.t, "unconfined_u:unconfined_r:unconfined_t:s0", s.domain())
	s.requireState("unconfined")
	s.freezeAll()
}

// mislabelled: a program without its label is started as any service is.
func mislabelled(s *scene) {
	s.relabel("bin_t", "/usr/bin/qemu-ga")
	defer s.relabel("virt_qemu_ga_exec_t", "/usr/bin/qemu-ga")
	s.startAgent()
	require.Equal(s.t, "system_u:system_r:initrc_t:s0", s.domain())
	status := s.requireState("unconfined")
	require.Contains(s.t, status, "bin_t")
	require.Contains(s.t, status, "restorecon -v /usr/bin/qemu-ga")
	s.freezeAll()
}

// ioctlDenied: the directory opens, and cannot be frozen.
func ioctlDenied(s *scene) {
	s.startAgent()
	refused := s.agent.Fail("guest-fsfreeze-freeze-list", list("/mnt/boot", "/mnt/db")).Desc
	s.t.Log(refused)
	for _, part := range []string{"SELinux", "/mnt/boot", "boot_t", "ioctl", "FIFREEZE", "virt_qemu_ga_t"} {
		require.Contains(s.t, refused, part)
	}
	require.NotContains(s.t, refused, "/mnt/db")
}

// thawDenied: what could not be thawed again is not frozen.
func thawDenied(s *scene) {
	s.startAgent()
	refused := s.agent.Fail("guest-fsfreeze-freeze-list", list("/mnt/alice", "/mnt/db")).Desc
	s.t.Log(refused)
	for _, part := range []string{"SELinux", "/mnt/alice", "user_home_dir_t", "ioctl", "FITHAW", "virt_qemu_ga_t"} {
		require.Contains(s.t, refused, part)
	}
	require.NotContains(s.t, refused, "/mnt/db")
}

// list is the argument of guest-fsfreeze-freeze-list.
func list(mountpoints ...string) map[string]any {
	return map[string]any{"mountpoints": mountpoints}
}

// enforcedWhileFrozen: the descriptors are held, but each ioctl is judged anew.
func enforcedWhileFrozen(s *scene) {
	s.startAgent()
	require.Equal(s.t, len(all), number(s.t, s.agent.Call("guest-fsfreeze-freeze", nil)))
	s.requireFrozen(all...)
	s.enforce(true)
	refused := s.agent.Fail("guest-fsfreeze-thaw", nil).Desc
	s.t.Log(refused)
	for _, part := range []string{"SELinux", "/mnt/db", "/mnt/fresh", "/mnt/garbled"} {
		require.Contains(s.t, refused, part)
	}
	// Not of a type that has to be opened by the module.
	s.requireFrozen("db", "fresh", "garbled")
	require.JSONEq(s.t, `"frozen"`, string(s.agent.Call("guest-fsfreeze-status", nil)))
	s.load(after)
	s.requireFrozen() // it tries again by itself
	s.agent.Call("guest-fsfreeze-thaw", nil)
	require.JSONEq(s.t, `"thawed"`, string(s.agent.Call("guest-fsfreeze-status", nil)))
}

// withoutAdmin: the policy allows everything, and the process is not allowed
// to use it.
func withoutAdmin(s *scene) {
	// Of no type that systemd starts in another domain.
	s.relabel("root_t", "/usr/bin/setpriv")
	s.startIn(systemd, "exec /usr/bin/setpriv --bounding-set -sys_admin")
	require.Equal(s.t, "system_u:system_r:virt_qemu_ga_t:s0", s.domain())
	refused := s.agent.Fail("guest-fsfreeze-freeze", nil).Desc
	s.t.Log(refused)
	require.Contains(s.t, refused, "not SELinux")
	require.Contains(s.t, refused, "CAP_SYS_ADMIN")
}

// selinuxfsAbsent: nothing can be asked, and trying goes on.
func selinuxfsAbsent(s *scene) {
	s.Sh("umount /sys/fs/selinux")
	defer s.Sh("mount -t selinuxfs selinuxfs /sys/fs/selinux")
	s.startAgent()
	s.t.Log(s.status())
	s.freezeAll()
	require.Empty(s.t, s.denials())
}

// selinuxfsReadOnly: the mode can be read, and the policy cannot be asked.
func selinuxfsReadOnly(s *scene) {
	s.Sh("mount -o remount,ro /sys/fs/selinux")
	defer s.Sh("mount -o remount,rw /sys/fs/selinux")
	s.startAgent()
	s.t.Log(s.status())
	s.requireState("confined")
	s.freezeAll()
	require.Empty(s.t, s.denials())
}

// vsockServed: the module lets the agent listen, which the vendor does not.
func vsockServed(s *scene) {
	s.startAgent()
	const port = 1234 // as below
	s.startMore("-m vsock-listen -p 4294967295:1234 --vsock-allow-cids=1")
	s.Until(settle, "vsock is served", func() bool {
		return strings.Contains(s.Vsock(control.Vsock{CID: 1, Port: port, Send: `{"execute":"guest-sync","arguments":{"id":7}}`}).Line, "7")
	})
	require.Empty(s.t, s.denials())
}

// sshKeys: a boolean opens the keys of users, and what is written there has
// the label by which the ssh server may read it.
func sshKeys(s *scene) {
	const file = "/mnt/alice/.ssh/authorized_keys"
	s.startAgent()
	args := map[string]any{"username": "alice", "keys": []string{"ssh-ed25519 AAAA a"}}
	for command, args := range map[string]any{
		"guest-ssh-add-authorized-keys": args, "guest-ssh-get-authorized-keys": map[string]any{"username": "alice"},
	} {
		refused := s.agent.Fail(command, args).Desc
		s.t.Log(refused)
		require.Contains(s.t, refused, "setsebool -P virt_qemu_ga_manage_ssh on")
	}
	s.boolean("virt_qemu_ga_manage_ssh", true)
	defer s.boolean("virt_qemu_ga_manage_ssh", false)
	s.forgetDenials()
	s.agent.Call("guest-ssh-add-authorized-keys", args)
	require.JSONEq(s.t, `{"keys": ["ssh-ed25519 AAAA a"]}`,
		string(s.agent.Call("guest-ssh-get-authorized-keys", map[string]any{"username": "alice"})))
	require.Empty(s.t, s.denials())
	const label = " system_u:object_r:ssh_home_t:s0\n"
	require.Equal(s.t, "600 1000:1000"+label+"700 1000:1000"+label, s.Sh("/usr/bin/stat -c '%a %u:%g %C' "+file+" /mnt/alice/.ssh"))
	s.Sh("rm -r /mnt/alice/.ssh")
}

// ownDomain: the domain that the module brings where the policy has none. That
// nothing is denied is seen here, where the policy hides no denials.
func ownDomain(s *scene) {
	s.relabel("qemu_ga_exec_t", "/usr/bin/qemu-ga")
	// Under a policy that knows the label.
	defer s.relabel("virt_qemu_ga_exec_t", "/usr/bin/qemu-ga")
	defer s.load(before)
	s.startAgent()
	require.Equal(s.t, "system_u:system_r:qemu_ga_t:s0", s.domain())
	s.requireState("confined")
	s.freezeAll()
	s.trimAll()
	for _, command := range asking {
		s.agent.Call(command, nil)
	}
	require.Equal(s.t, "hello\n", s.exec("/bin/sh", "-c", "echo hello"))
	require.Empty(s.t, s.denials())
	filesStayClosed(s)
}

// asking are the commands that change nothing and need nothing.
var asking = []string{
	"guest-ping", "guest-info", "guest-get-time", "guest-get-osinfo", "guest-get-host-name",
	"guest-get-timezone", "guest-get-users", "guest-get-fsinfo", "guest-get-vcpus",
	"guest-get-memory-blocks", "guest-get-memory-block-info", "guest-network-get-interfaces",
	"guest-network-get-route", "guest-get-diskstats", "guest-get-cpustats", "guest-get-load",
	"guest-get-disks", "guest-fsfreeze-status", "x-fsfreeze-check", "x-fsfreeze-report",
}

// relabel gives a file another type, which enforcement would keep process 1
// from.
func (s *scene) relabel(name, path string) {
	s.t.Helper()
	s.enforce(false)
	s.Sh("chcon system_u:object_r:" + name + ":s0 " + path)
	s.enforce(true)
}

// freezeAll freezes and thaws everything.
func (s *scene) freezeAll() {
	s.t.Helper()
	require.Equal(s.t, len(all), number(s.t, s.agent.Call("guest-fsfreeze-freeze", nil)))
	s.requireFrozen(all...)
	require.Equal(s.t, len(all), number(s.t, s.agent.Call("guest-fsfreeze-thaw", nil)))
	s.requireFrozen()
}

// trimAll trims everything.
func (s *scene) trimAll() {
	s.t.Helper()
	var trimmed struct {
		Paths []struct{ Path, Error string }
	}
	require.NoError(s.t, json.Unmarshal(s.agent.Call("guest-fstrim", nil), &trimmed))
	var paths []string
	for _, p := range trimmed.Paths {
		require.Empty(s.t, p.Error, p.Path)
		paths = append(paths, strings.TrimPrefix(p.Path, "/mnt/"))
	}
	require.ElementsMatch(s.t, all, paths)
}

// exec runs a program by the agent and returns what it wrote.
func (s *scene) exec(path string, args ...string) string {
	s.t.Helper()
	return execBy(s.t, s.agent, path, args...)
}

// status is the answer of x-selinux-status.
func (s *scene) status() string {
	s.t.Helper()
	return string(s.agent.Call("x-selinux-status", nil))
}

// requireState requires what x-selinux-status says of the agent.
func (s *scene) requireState(want string) string {
	s.t.Helper()
	status := s.status()
	var is struct{ State string }
	require.NoError(s.t, json.Unmarshal([]byte(status), &is))
	require.Equal(s.t, want, is.State, "%s", status)
	return status
}

// decode is text in base64.
func decode(t require.TestingT, text string) string {
	data, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return string(data)
}
