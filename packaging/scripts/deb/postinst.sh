
# restore PATH puts a file of ours back: where Debian's qemu-guest-agent calls
# the same place by its other name, /lib, dpkg has removed the file with it.
restore() {
	[ -e "$1" ] || install -D -m 644 "/usr/share/qemu-ga/${1##*/}" "$1"
}

case $1 in
configure | abort-upgrade | abort-deconfigure | abort-remove) ;;
*) exit 0 ;;
esac
restore "/usr/lib/systemd/system/$unit"
restore /usr/lib/udev/rules.d/60-qemu-guest-agent.rules
# Removing Debian's package took the right to be run from its script.
[ ! -e /etc/init.d/qemu-guest-agent ] || chmod 755 /etc/init.d/qemu-guest-agent
add_policy
if command -v deb-systemd-helper >/dev/null; then
	deb-systemd-helper unmask "$unit" >/dev/null || true
	if deb-systemd-helper --quiet was-enabled "$unit"; then
		deb-systemd-helper enable "$unit" >/dev/null || true
	else
		deb-systemd-helper update-state "$unit" >/dev/null || true
	fi
fi
if systemd; then
	systemctl --system daemon-reload >/dev/null || true
	# Once, for the longer watchdogs that the package gives them: a service
	# that runs keeps the one it was started with.
	[ -n "$2" ] || systemctl try-restart systemd-journald.service systemd-timesyncd.service >/dev/null || true
	deb-systemd-invoke restart "$unit" >/dev/null || true
	announce_port
elif [ -z "${DPKG_ROOT:-}" ] && [ -x /etc/init.d/qemu-guest-agent ] && command -v update-rc.d >/dev/null; then
	update-rc.d qemu-guest-agent defaults >/dev/null
	# Not where an image is being built: that machine's host is not the guest's.
	ischroot --default-true || invoke-rc.d --skip-systemd-native qemu-guest-agent restart || true
fi
