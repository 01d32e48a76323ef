
# As is the custom of Arch, services are enabled by the administrator; the
# port's event starts the agent.
if systemd; then
	systemctl daemon-reload || true
	patient_journal
	announce_port
fi
