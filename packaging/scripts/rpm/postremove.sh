
if [ "$1" = 0 ]; then
	rm -f /run/qga.state /run/qga.state.isfrozen
	! systemd || systemctl daemon-reload || true
fi
