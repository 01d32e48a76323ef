
# OpenRC, unless the guest is being built: then the service is only added.
! command -v rc-update >/dev/null || rc-update --quiet add qemu-guest-agent default || true
if command -v rc-service >/dev/null && [ -d /run/openrc ]; then
	rc-service --quiet qemu-guest-agent restart || true
fi
