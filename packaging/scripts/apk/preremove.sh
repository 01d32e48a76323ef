
thaw
if command -v rc-service >/dev/null && [ -d /run/openrc ]; then
	rc-service --quiet --ifstarted qemu-guest-agent stop || true
fi
! command -v rc-update >/dev/null || rc-update --quiet delete qemu-guest-agent default || true
# What was frozen while it stopped.
thaw
