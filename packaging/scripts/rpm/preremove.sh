
if [ "$1" = 0 ]; then
	thaw
	! command -v systemctl >/dev/null || systemctl --no-reload disable --now "$unit" >/dev/null 2>&1 || true
	# What was frozen while it stopped.
	thaw
	remove_policy
fi
