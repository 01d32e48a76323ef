package distro

import (
	"testing"

	"qemu-ga/cmd/internal/vm"
)

// The versions of our package: one, and one that replaces it.
const (
	oldVersion = "0.1.1"
	newVersion = "0.1.2"
)

// deb builds our package for Debian.
func deb(t *testing.T, version string) string {
	t.Helper()
	return vm.AgentPackage(t, "deb", version)
}

// apk builds our package for Alpine.
func apk(t *testing.T) string {
	t.Helper()
	return vm.AgentPackage(t, "apk", oldVersion)
}
