package guest

import "os"

// SysVinit tells whether the guest's process 1 is sysvinit's. It takes its
// orders from a FIFO; systemd has one in the same place, for old programs.
func (r Root) SysVinit() bool {
	if _, err := os.Stat(r.Path("/run/systemd/system")); err == nil {
		return false
	}
	for _, name := range []string{"/run/initctl", "/dev/initctl"} {
		if info, err := os.Stat(r.Path(name)); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
			return true
		}
	}
	return false
}
