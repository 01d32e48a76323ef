
thaw
! systemd || systemctl disable --now "$unit" >/dev/null 2>&1 || true
# What was frozen while it stopped.
thaw
