package selinux

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestContext(t *testing.T) {
	for text, want := range map[string]string{
		"system_u:object_r:mysqld_db_t:s0\x00":   "mysqld_db_t",
		"system_u:object_r:mysqld_db_t":          "mysqld_db_t",
		"u:r:t:s0-s15:c0.c1023\n":                "t",
		"kernel":                                 "",
		"unconfined\n":                           "",
		"/usr/bin/qemu-ga (enforce)":             "",
		"u::t:s0":                                "",
		"u:r:t s0":                               "",
		"u:r:":                                   "",
		"u:r:" + strings.Repeat("t", maxContext): "",
		"":                                       "",
		"u:r:t\nforged":                          "",
		"system_u:object_r:unlabeled_t:s0\x00\x00\n": "unlabeled_t",
	} {
		require.Equal(t, want, parseContext([]byte(text)).Type(), "%q", text)
	}
	require.Empty(t, Context("not made by parseContext").Type())
}

func TestOptionLabel(t *testing.T) {
	for options, want := range map[string]string{
		"rw,seclabel":                        "",
		"rw,context=u:r:tmp_t:s0,size=4k":    "u:r:tmp_t:s0",
		`rw,context="u:r:a_t:s0:c1,c2",x="y`: "u:r:a_t:s0:c1,c2",
		"rootcontext=u:r:b_t:s0":             "u:r:b_t:s0",
		"fscontext=u:r:a_t:s0,defcontext=x":  "",
		"context=rubbish":                    "",
		`context="`:                          "",
		"":                                   "",
	} {
		require.Equal(t, Context(want), optionLabel(options), options)
	}
}

func TestParseDecision(t *testing.T) {
	d, err := parseDecision("20080013 ffffffff 0 fffffbff 2 0")
	require.NoError(t, err)
	require.Equal(t, decision{allowed: 0x20080013}, d)
	d, err = parseDecision("0 ffffffff 0 fffffbff 2 1\x00")
	require.NoError(t, err)
	require.Equal(t, decision{permissive: true}, d)
	d, err = parseDecision("1 ffffffff 0 0 2")
	require.NoError(t, err)
	require.Equal(t, decision{allowed: 1}, d)
	for _, bad := range []string{
		"", "1 2 3 4", "1 2 3 4 5 6 7", "x ffffffff 0 0 2 0", "1 0 0 0 2 x", "123456789 0 0 0 2 0",
		strings.Repeat(" ", maxAnswer) + "1 2 3 4 5 6",
	} {
		_, err := parseDecision(bad)
		require.ErrorIs(t, err, errGarbled, bad)
	}
}

// A domain that may not read booleans tries one of them, and no more.
func TestBooleansHidden(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(dir+selinuxfs+"/booleans", 0o755))
	for _, name := range []string{"a_qemu_ga", "other", "virt_qemu_ga_x", "virt_qemu_ga_y"} {
		require.NoError(t, os.WriteFile(dir+selinuxfs+"/booleans/"+name, []byte("1 1"), 0o644))
	}
	s := New(Config{Sys: dir})
	require.Equal(t, []Boolean{{"a_qemu_ga", "on"}, {"virt_qemu_ga_x", "on"}, {"virt_qemu_ga_y", "on"}}, s.booleans())
	reads := 0
	s.read = func(string) ([]byte, error) { reads++; return nil, unix.EACCES }
	require.Equal(t, []Boolean{{"a_qemu_ga", "hidden"}, {"virt_qemu_ga_x", "hidden"}, {"virt_qemu_ga_y", "hidden"}}, s.booleans())
	require.Equal(t, 1, reads)
}

func TestQuote(t *testing.T) {
	require.Equal(t, "/srv/db", quote("/srv/db"))
	require.Equal(t, "'/srv/my data'", quote("/srv/my data"))
	require.Equal(t, `'/x'\''; rm -rf /'`, quote("/x'; rm -rf /"))
	require.Equal(t, "'/a\nb'", quote("/a\nb"))
}

// A trial leaves nothing behind: neither a filesystem frozen nor a thread
// without its capability. Here SELinux denies nothing, or is not there.
func TestTryHasNoEffect(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("run the tests as root")
		}
		t.Skip("putting CAP_SYS_ADMIN down needs it: run the tests as root")
	}
	s := New(Config{})
	r, w, err := os.Pipe() // it cannot be frozen, whatever the trial does
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	fds := []int{int(r.Fd()), int(w.Fd())}
	ran := false
	s.without(fds[0], func() {
		ran = true
		require.Equal(t, unix.EPERM, unix.IoctlSetInt(fds[1], ioctlThaw, 0))
		require.Equal(t, unix.EPERM, unix.IoctlSetInt(fds[1], ioctlFreeze, 0))
	})
	require.True(t, ran, "a thread of root may put its capability down")
	for range 100 {
		require.Equal(t, []Denial{{}, {}}, s.Try(fds))
	}
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	own, err := os.ReadFile("/proc/thread-self/status")
	require.NoError(t, err)
	for _, task := range tasks {
		status, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		require.NoError(t, err)
		require.Equal(t, parseStatus(string(own)).Capabilities, parseStatus(string(status)).Capabilities)
	}
	require.Empty(t, s.Try(nil))
}

// Without the capability everything is refused, and nothing is tried.
func TestTryWithoutCapability(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("putting CAP_SYS_ADMIN down needs it: run the tests as root")
	}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	fd := int(r.Fd())
	s := New(Config{})
	var denials []Denial
	s.without(fd, func() { denials = s.Try([]int{fd}) })
	require.Equal(t, []Denial{{OpFreeze, unix.EPERM}}, denials)
}

// A domain that may not read selinuxfs keeps its capabilities: setcap would be
// denied it, and logged.
func TestTryKeepsQuiet(t *testing.T) {
	s := New(Config{})
	s.read = func(string) ([]byte, error) { return nil, unix.EACCES }
	require.False(t, s.mayDrop())
	s.read = func(string) ([]byte, error) { return nil, unix.ENOENT }
	require.True(t, s.mayDrop())
}

func TestExplainCommand(t *testing.T) {
	confined := Facts{Mode: Enforcing, Domain: "system_u:system_r:virt_qemu_ga_t:s0"}
	own := Facts{Mode: Enforcing, Domain: "system_u:system_r:qemu_ga_t:s0", Booleans: []Boolean{{"qemu_ga_manage_ssh", "on"}}}
	require.Equal(t, "SELinux may deny it: the policy must let the agent's domain system_u:system_r:virt_qemu_ga_t:s0 "+
		"change the users' authorized_keys; what opens it: setsebool -P virt_qemu_ga_manage_ssh on", NeedKeys.Explain(confined))
	require.Contains(t, NeedKeys.Explain(own), "setsebool -P qemu_ga_manage_ssh on (it is on)")
	require.Contains(t, NeedPrograms.Explain(confined), "a file labelled virt_qemu_ga_unconfined_exec_t")
	require.Empty(t, NeedNothing.Explain(confined))
	// The module is what opens a link among the hooks, and no boolean.
	untaught := Facts{Mode: Enforcing, Selinuxfs: Forbidden, Domain: confined.Domain}
	require.Contains(t, NeedFreeze.Explain(untaught), "; what opens it: qemu-ga policy --install (the policy module that comes with qemu-ga: "+
		"it opens the roots, and has links among the hooks followed), or a file labelled virt_qemu_ga_unconfined_exec_t")
	require.NotContains(t, NeedFreeze.Explain(untaught), "setsebool")
	require.NotContains(t, NeedFreeze.Explain(confined), "policy --install")
	require.Contains(t, NeedHook.Explain(confined), "setsebool -P virt_qemu_ga_run_unconfined on")
	require.Contains(t, NeedHook.Explain(own), "; what opens it: a file labelled qemu_ga_hook_exec_t")
	require.Empty(t, NeedHook.Explain(Facts{Mode: Enforcing, Domain: "system_u:system_r:initrc_t:s0"}))
	require.Contains(t, NeedChannel.Explain(untaught), "it lets the agent listen on vsock")
	require.Empty(t, NeedFiles.Explain(Facts{Mode: Permissive}))
	require.Empty(t, NeedFiles.Explain(Facts{Mode: Enforcing, PermissiveDomain: true}))
	locked := Facts{Mode: Disabled, Lockdown: "integrity"}
	require.Equal(t, "not SELinux: the kernel is locked down (integrity), which forbids suspending to disk", NeedHibernation.Explain(locked))
	require.Empty(t, NeedPower.Explain(locked))
	require.Contains(t, NeedFiles.Explain(Facts{
		Mode: Enforcing, Domain: "system_u:system_r:init_t:s0", Process: Process{NoNewPrivileges: true},
	}), "take NoNewPrivileges=yes")
}
