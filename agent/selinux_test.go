package agent

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"qemu-ga/agent/guest"
	"qemu-ga/freeze"
	"qemu-ga/freeze/freezetest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// enforcing is a guest whose SELinux confines the agent. Its files are plain
// ones, so that it answers no questions.
func enforcing(t *testing.T) guest.Root {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"proc/thread-self/attr/current":              "system_u:system_r:virt_qemu_ga_t:s0\x00",
		"proc/filesystems":                           "nodev\tselinuxfs\n",
		"sys/fs/selinux/enforce":                     "1",
		"sys/fs/selinux/class/dir/index":             "7\n",
		"sys/fs/selinux/booleans/virt_qemu_ga_x":     "0 0",
		"sys/kernel/security/lockdown":               "none [integrity] confidentiality\n",
		"sys/power/state":                            "",
		"proc/thread-self/status":                    "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n",
		"proc/thread-self/uid_map":                   "0 0 4294967295\n",
		"proc/thread-self/attr/apparmor/placeholder": "",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return guest.Root(dir)
}

func TestDeniedCommandsSayWhatOpensThem(t *testing.T) {
	engine := freeze.New(freeze.Config{StateDir: t.TempDir(), Mounts: "/dev/null"})
	a := New(Config{Root: enforcing(t), Freeze: engine})
	closed := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(closed, nil, 0o600))
	c := dial(t, a)
	_, desc := c.fail(`{"execute":"guest-exec","arguments":{"path":"` + closed + `"}}`)
	require.Equal(t, "Failed to execute child process “"+closed+"” (Permission denied). SELinux may deny it: "+
		"the policy must let the agent's domain system_u:system_r:virt_qemu_ga_t:s0 run the program, which it then does in its own domain; "+
		"what opens it: setsebool -P virt_qemu_ga_run_unconfined on, or a file labelled virt_qemu_ga_unconfined_exec_t (semanage fcontext, restorecon)", desc)

	// Another error is left alone, and so is another guest's.
	_, desc = c.fail(`{"execute":"guest-exec","arguments":{"path":"` + closed + `x"}}`)
	require.Equal(t, "Failed to execute child process “"+closed+"x” (No such file or directory)", desc)
	plain := New(Config{Root: guest.Root(t.TempDir()), Freeze: engine})
	_, desc = dial(t, plain).fail(`{"execute":"guest-exec","arguments":{"path":"` + closed + `"}}`)
	require.Equal(t, "Failed to execute child process “"+closed+"” (Permission denied)", desc)
}

// Every command that can fail for want of a permission says what SELinux must
// allow, and no error is advised on twice.
func TestCommandsNeeds(t *testing.T) {
	a := New(Config{Root: enforcing(t), Freeze: freeze.New(freeze.Config{})})
	denied := guest.Worded(unix.EACCES)
	for _, c := range a.table {
		once := a.advise(c, denied)
		if c.Needs.What == "" {
			require.Equal(t, denied, once, c.Name)
			continue
		}
		require.ErrorContains(t, once, "Permission denied. ", c.Name)
		require.ErrorIs(t, once, unix.EACCES)
	}
	for name, does := range map[string]bool{
		"guest-file-open": true, "guest-ssh-add-authorized-keys": true, "guest-set-user-password": true, "guest-exec": true,
		"guest-shutdown": true, "guest-fsfreeze-freeze": true, "guest-ping": false,
	} {
		require.Equal(t, does, a.byName[name].Needs.What != "", name)
	}
	require.ErrorContains(t, a.advise(a.byName["guest-suspend-disk"], unix.EPERM), "not SELinux: the kernel is locked down (integrity)")
	require.NoError(t, a.advise(a.byName["guest-ping"], nil))
	require.Equal(t, denied, a.advise(nil, denied))
}

func TestSELinuxStatus(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	var status struct {
		State string
		Facts struct{ Mode, Domain, Asking string }

		Findings []string
		Mounts   []struct {
			Mountpoint string
			Allowed    string `json:"freeze-and-thaw"`
		}
	}
	root := enforcing(t)
	a := newAgent(t, Config{}, freeze.Config{Guard: NewGuard(root)})
	a.root = root
	c := dial(t, a)
	require.NoError(t, json.Unmarshal([]byte(c.call(`{"execute":"x-selinux-status"}`)), &status))
	require.Equal(t, "confined", status.State)
	require.Equal(t, "garbled", status.Facts.Asking, "a plain file answers nothing")
	require.Contains(t, status.Findings, "cannot tell what the policy allows: the kernel's answer has not the known form, "+
		"or the policy not the known classes; freezing is tried instead")
	require.Len(t, status.Mounts, 1)
	require.Equal(t, dir, status.Mounts[0].Mountpoint)
	require.Equal(t, "yes", status.Mounts[0].Allowed)
	// That it cannot tell keeps nobody from freezing.
	require.Equal(t, "1", c.call(`{"execute":"guest-fsfreeze-freeze"}`))
	require.False(t, freezetest.Writable(dir, soon/100))
	require.Equal(t, "1", c.call(`{"execute":"guest-fsfreeze-thaw"}`))
}

// A hook to which something is denied may owe that to the agent's domain.
func TestDeniedHookSaysWhatOpensIt(t *testing.T) {
	mounted(t, "/mnt/a")
	hook := filepath.Join(t.TempDir(), "hook")
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\n[ $1 = thaw ] || { echo psql: Permission denied; exit 2; }\n"), 0o755))
	for root, want := range map[guest.Root]string{
		enforcing(t): "child process has failed to execute fsfreeze hook: psql: Permission denied. SELinux may deny it: " +
			"the policy must let the agent's domain system_u:system_r:virt_qemu_ga_t:s0 do what the hook does, if that runs in the same domain; " +
			"what opens it: setsebool -P virt_qemu_ga_run_unconfined on, or a file labelled virt_qemu_ga_unconfined_exec_t (semanage fcontext, restorecon)",
		guest.Root(t.TempDir()): "child process has failed to execute fsfreeze hook: psql: Permission denied\n",
	} {
		a := newAgent(t, Config{}, freeze.Config{Hook: hook})
		a.root = root
		_, desc := dial(t, a).fail(`{"execute":"guest-fsfreeze-freeze"}`)
		require.Equal(t, want, desc)
	}
}

// A process without CAP_SYS_ADMIN is told so before anything is frozen, and
// one with it freezes.
func TestGuardTellsOfMissingCapability(t *testing.T) {
	dir := mounted(t, "/mnt/a")
	engine := freeze.New(freeze.Config{StateDir: t.TempDir(), Guard: NewGuard("/")})
	defer engine.Close(context.Background())
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&header, &data[0])
		data[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
		if err == nil {
			err = unix.Capset(&header, &data[0])
		}
		if err == nil {
			_, err = engine.Freeze(context.Background(), freeze.Request{})
		}
		errs <- err
	}()
	require.EqualError(t, <-errs, "failed to freeze "+dir+": Operation not permitted "+
		"(not SELinux: the agent runs without the capability CAP_SYS_ADMIN). As root in the guest: systemctl edit qemu-guest-agent "+
		"(let the agent run as root with CAP_SYS_ADMIN (CapabilityBoundingSet=, User= of its unit))")
	require.True(t, freezetest.Writable(dir, soon))
	n, err := engine.Freeze(t.Context(), freeze.Request{})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = engine.Thaw(t.Context())
	require.NoError(t, err)
}
