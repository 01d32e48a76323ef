
case $1 in
remove)
	rm -f /run/qga.state /run/qga.state.isfrozen
	! systemd || systemctl --system daemon-reload >/dev/null || true
	;;
purge)
	if command -v deb-systemd-helper >/dev/null; then
		deb-systemd-helper purge "$unit" >/dev/null || true
		deb-systemd-helper unmask "$unit" >/dev/null || true
	fi
	! command -v update-rc.d >/dev/null || update-rc.d qemu-guest-agent remove >/dev/null || true
	;;
esac
