
thaw
case $1 in
remove | deconfigure)
	if systemd; then
		deb-systemd-invoke stop "$unit" >/dev/null || true
	elif [ -x /etc/init.d/qemu-guest-agent ]; then
		invoke-rc.d --skip-systemd-native qemu-guest-agent stop || true
	fi
	# What was frozen while it stopped.
	thaw
	[ "$1" != remove ] || remove_policy
	;;
esac
