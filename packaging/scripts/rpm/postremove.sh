
if [ "$1" = 0 ]; then
	rm -f /run/qga.state
	! systemd || systemctl daemon-reload || true
fi
