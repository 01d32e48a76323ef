
if systemd; then
	systemctl daemon-reload || true
	systemctl try-restart "$unit" || true
fi
