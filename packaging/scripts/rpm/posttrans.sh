
# Here, after the distribution's package has gone: going, it stops and
# disables the unit.
kept=/var/lib/rpm-state/qemu-ga
for file in /etc/sysconfig/qemu-ga /etc/qemu-ga/fsfreeze-hook /etc/qemu/fsfreeze-hook; do
	if [ -f "$kept$file" ]; then
		cp -p "$kept$file" "$file"
		rm -f "$file.rpmnew" "$file.rpmsave"
		! command -v restorecon >/dev/null || restorecon "$file" || true
	fi
done
add_policy
if command -v systemctl >/dev/null; then
	! systemd || systemctl daemon-reload || true
	[ ! -e "$kept/first" ] || systemctl --no-reload preset "$unit" >/dev/null 2>&1 || true
	if systemd; then
		if [ ! -e "$kept/first" ]; then
			systemctl try-restart "$unit" || true
		else
			# Once, for the longer watchdogs that the package gives them: a
			# service that runs keeps the one it was started with.
			systemctl try-restart systemd-journald.service systemd-timesyncd.service || true
			! systemctl --quiet is-enabled "$unit" || systemctl restart "$unit" || true
		fi
		announce_port
	fi
fi
rm -rf "$kept"
