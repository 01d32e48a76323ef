#!/bin/sh
# Maintainer script of qemu-ga. packaging/build.sh puts this part before each.
set -e

unit=qemu-guest-agent.service
agent=/usr/bin/qemu-ga

# systemd tells whether systemd runs, and not only is installed: in an image
# that is being built it does not.
systemd() { [ -d /run/systemd/system ]; }

# thaw thaws what the installed agent has frozen. It must work before anything
# else: with filesystems frozen, the package manager itself would wait.
thaw() {
	[ ! -x "$agent" ] || "$agent" thaw --statedir=/run >/dev/null || true
}

# selinux_wanted tells whether the agent is, or at the next boot will be,
# confined by SELinux.
selinux_wanted() {
	command -v semodule >/dev/null && grep -qsE '^SELINUX=(enforcing|permissive)' /etc/selinux/config
}

# add_policy lets the agent freeze what SELinux would keep from it. Without it
# the agent works, and says which filesystems are blocked.
add_policy() {
	selinux_wanted || return 0
	"$agent" policy --install >/dev/null ||
		echo "qemu-ga: the SELinux module could not be installed; later: qemu-ga policy --install" >&2
}

# remove_policy takes the module away, and the labels that only it knows off
# what stays: a file that kept one would count as unlabelled.
remove_policy() {
	selinux_wanted || return 0
	semodule -r qemu-ga >/dev/null 2>&1 || true
	command -v restorecon >/dev/null || return 0
	for path in "$agent" /etc/qemu /etc/qemu-ga /usr/libexec/qemu-ga /run/qemu-ga* /run/qga* /var/log/qemu-ga*; do
		[ ! -e "$path" ] || restorecon -R "$path" >/dev/null 2>&1 || true
	done
}

# announce_port repeats the udev event of the agent's port, which is long past
# if the package is installed in a running guest.
announce_port() {
	[ ! -d /run/udev ] || ! command -v udevadm >/dev/null || {
		udevadm control --reload || true
		udevadm trigger --subsystem-match=virtio-ports --action=change || true
	}
}
