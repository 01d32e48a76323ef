// Package distro tests the agent as a part of a distribution: installed in a
// full Debian guest with systemd, by cloud-init or in place of the
// distribution's own agent, beside services that do not expect to stand still
// for minutes, and under the other inits: sysvinit, OpenRC, busybox. It is
// tests only.
package distro
