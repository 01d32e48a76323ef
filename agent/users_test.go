package agent

import "testing"

func TestUsers(t *testing.T) {
	for name, want := range map[string]string{
		"debian12-virtio": `[{"user": "root", "login-time": 1700000050.75}, {"user": "debian", "login-time": 1700003600.000001}]`,
		"fedora-btrfs":    `[{"user": "fedora", "login-time": 1715000100.5}, {"user": "root", "login-time": 1715000300.000001}]`,
		"alpine-minimal":  `[]`,
	} {
		got, err := captured(t, name).users(t.Context(), noArgs{})
		requireWire(t, want, got, err)
	}
}
