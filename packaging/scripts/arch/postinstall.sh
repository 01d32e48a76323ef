
# As is the custom of Arch, services are enabled by the administrator; the
# port's event starts the agent.
if systemd; then
	systemctl daemon-reload || true
	# Once, for the longer watchdogs that the package gives them: a service
	# that runs keeps the one it was started with.
	systemctl try-restart systemd-journald.service systemd-timesyncd.service || true
	announce_port
fi
