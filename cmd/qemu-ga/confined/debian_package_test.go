package confined_test

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	policy "qemu-ga/packaging/selinux"
)

// The versions of our package, and where they are in the guest.
const (
	oldVersion, newVersion = "0.1.1", "0.1.2"
	oldPackage, newPackage = "/root/old.deb", "/root/new.deb"
)

// unit is the agent's.
const unit = "qemu-guest-agent.service"

// scriptDomain is where a program that the package's script runs leaves the
// domain that it is run in.
const scriptDomain = "/tmp/script-domain"

// debianPackage: dpkg is run by an administrator, and its policy decides what
// the package's scripts may do. They load the module, and the agent starts
// confined.
func debianPackage(d *debian) {
	d.Push("/usr/local/sbin/udevadm", []byte("#!/bin/sh\nid -Z >"+scriptDomain+"\nexec /usr/bin/udevadm \"$@\"\n"), 0o755)
	d.must("restorecon", "-R", "/usr/local/sbin")
	d.forget()
	said := d.asAdministrator("PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin dpkg --install " + oldPackage)
	require.NotContains(d.t, said, "could not be installed")
	d.t.Logf("%s\ndenied: %s", said, d.denialsOf(""))
	require.Contains(d.t, string(d.Pull(scriptDomain)), ":dpkg_script_t:")
	require.NotEmpty(d.t, d.audited(policyLoaded))
	d.requireInstalled(oldVersion)
	require.Contains(d.t, d.must("ls", "-Z", "/etc/qemu/fsfreeze-hook"), ":qemu_ga_hook_exec_t:")
}

// requireInstalled requires of the package and of the module that they are
// there, and of the agent that it runs in its domain.
func (d *debian) requireInstalled(version string) {
	d.t.Helper()
	require.Equal(d.t, "ii "+version, d.must("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "qemu-ga")[:len("ii "+version)])
	require.Contains(d.t, d.modules(), policy.Name)
	require.Contains(d.t, d.must("ls", "-Z", "/usr/bin/qemu-ga"), ":qemu_ga_exec_t:")
	require.Equal(d.t, "active", d.Systemctl("is-active", unit))
	require.Contains(d.t, d.domain(), "system_u:system_r:qemu_ga_t:")
	require.Equal(d.t, "Enforcing", d.must("getenforce"))
	require.Empty(d.t, d.denialsOf(packagePrograms))
}

// packagePrograms are what the package's scripts run, and what runs them. Left
// out is load_policy, which may not use the /dev/null that the test gives it.
const packagePrograms = `comm="(qemu-ga|dpkg|postinst|prerm|postrm|sh|semodule|restorecon|setfiles|systemctl|deb-systemd-.*|udevadm)"|qemu_ga`

// policyLoaded is what the kernel has to say when a policy is loaded.
const policyLoaded = "type=MAC_POLICY_LOAD"

// modules are the names of the policy's modules.
func (d *debian) modules() []string {
	d.t.Helper()
	return strings.Fields(d.must("semodule", "-l"))
}

// freezeDB freezes the disk that dpkg does not need.
func (d *debian) freezeDB() {
	d.t.Helper()
	d.connect()
	require.Equal(d.t, 1, number(d.t, d.agent.Call("guest-fsfreeze-freeze-list", list("/mnt/db"))))
	require.True(d.t, d.Accepts(time.Second, "/mnt/db")[0].Blocked)
	d.agent.Close()
}

// debianUpgrade: an upgrade thaws, leaves the policy alone, whose module is the
// same, and the new agent confined.
func debianUpgrade(d *debian) {
	d.freezeDB()
	d.forget()
	said := d.asAdministrator("dpkg --install " + newPackage)
	d.t.Logf("%s\ndenied: %s", said, d.denialsOf(""))
	require.True(d.t, d.Accepts(settle, "/mnt/db")[0].OK, "something is frozen still")
	require.Empty(d.t, d.audited(policyLoaded), "the same module needs no new policy")
	d.requireInstalled(newVersion)
	d.connect()
	require.Contains(d.t, string(d.agent.Call("x-selinux-status", nil)), `"confined"`)
}

// debianRemove: the module goes with the package, and with it every label that
// only it knows. Nothing runs, and nothing is frozen.
func debianRemove(d *debian) {
	d.freezeDB()
	d.forget()
	said := d.asAdministrator("dpkg --remove qemu-ga")
	d.t.Logf("%s\ndenied: %s", said, d.denialsOf(""))
	require.True(d.t, d.Accepts(settle, "/mnt/db")[0].OK, "something is frozen still")
	require.Equal(d.t, 1, d.Try(settle, "pgrep", "qemu-ga").Status, "something runs still")
	require.NotContains(d.t, d.modules(), policy.Name)
	require.Contains(d.t, d.must("ls", "-Z", "/etc/qemu/fsfreeze-hook"), ":virt_etc_t:", "as Debian's policy has it")
	require.Empty(d.t, d.must("find", "/etc", "/usr", "/run", "/var/log", "-xdev", "(", "-context", "*:unlabeled_t:*", "-o", "-context", "*qemu_ga*", ")"))
	require.Empty(d.t, d.denialsOf(packagePrograms))
}
