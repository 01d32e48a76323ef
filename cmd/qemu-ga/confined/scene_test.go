package confined_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
	policy "qemu-ga/packaging/selinux"
)

// settle bounds what should happen at once, on a busy machine.
const settle = 20 * time.Second

// disks are the filesystems of the scratch guest, by what keeps Fedora's
// policy from freezing them.
var disks = []vm.Disk{
	{Name: "boot", FS: "ext4"},  // nothing: boot_t
	{Name: "db", FS: "ext4"},    // its type: mysqld_db_t
	{Name: "fresh", FS: "ext4"}, // no label: unlabeled_t
	{Name: "alice", FS: "ext4"}, // its mode: 0700 of another user
	// Its label is no context, which the kernel takes for unlabeled_t.
	{Name: "garbled", FS: "ext4"},
}

// variant is a policy that the scratch guest can load.
type variant string

const (
	// before is without our module.
	before variant = "before"
	// after is with it.
	after variant = "after"
	// permissiveDomain is before, with the agent's domain permissive.
	permissiveDomain variant = "permissive-domain"
	// noIoctls is after, less FIFREEZE, FITHAW and FITRIM of /mnt/boot, and
	// less FITHAW of /mnt/alice.
	noIoctls variant = "no-ioctls"
	// ownBefore is Debian's policy, without the stand-in; own is it with our
	// module, which brings the domain.
	ownBefore variant = "own-before"
	own       variant = "own"
)

// variants are the modules of each, beside those that all have, and in own the
// stand-in. A domain that
// has extended permissions for a type can call no other ioctls on it.
var variants = map[variant]string{
	before:           "",
	after:            policy.Module,
	permissiveDomain: "(typepermissive virt_qemu_ga_t)",
	noIoctls: policy.Module + "(allowx virt_qemu_ga_t boot_t (ioctl dir (0x1234)))" +
		"(allowx virt_qemu_ga_t user_home_dir_t (ioctl dir (0x5877)))",
}

// link makes the policy of a variant.
func link(t testing.TB, v variant) string {
	t.Helper()
	switch v {
	case ownBefore:
		return vm.Policy(t, vm.ReferencePolicy, read(t, "scratch.cil"))
	case own:
		return vm.Policy(t, vm.ReferencePolicy, read(t, "scratch.cil"), policy.Module)
	}
	return vm.Policy(t, vm.VendorPolicy, read(t, "virt_qemu_ga.cil"), read(t, "scratch.cil"), variants[v])
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

// scene is the scratch guest.
type scene struct {
	*vm.VM
	t       testing.TB
	agent   *vm.Agent
	started int
}

// newScene boots the scratch guest. No policy is loaded yet.
func newScene(t *testing.T) *scene {
	t.Helper()
	files := map[string]string{}
	for v := range variants {
		files["/policies/"+string(v)] = link(t, v)
	}
	files["/policies/"+string(own)] = link(t, own)
	guest := vm.Start(t, vm.Config{
		Disks: disks, Files: files, Programs: []string{"chcon", "setpriv", "stat"},
		Modules:    []string{"vsock_loopback"},
		KernelArgs: "security=selinux selinux=1 audit_backlog_limit=8192",
	})
	s := &scene{VM: guest, t: t}
	// Or denials get lost in the log.
	s.Sh("echo 0 >/proc/sys/kernel/printk_ratelimit; mount -t selinuxfs selinuxfs /sys/fs/selinux")
	// By this file chcon knows that there is SELinux.
	s.Sh("mkdir /etc/selinux; echo SELINUX=enforcing >/etc/selinux/config")
	// Until there is a policy, a label may be anything.
	s.Sh("chcon nonsense /mnt/garbled")
	return s
}

// in is the scene of a subtest.
func (s *scene) in(t *testing.T) *scene {
	return &scene{VM: s.In(t), t: t}
}

// load makes a policy the kernel's.
func (s *scene) load(v variant) {
	s.t.Helper()
	// The kernel wants the whole of it in one write.
	s.Sh(fmt.Sprintf("dd if=/policies/%s of=/sys/fs/selinux/load bs=16M 2>/dev/null", v))
}

// enforce turns enforcement on or off.
func (s *scene) enforce(on bool) {
	s.t.Helper()
	s.Sh(fmt.Sprintf("printf %d >/sys/fs/selinux/enforce", map[bool]int{true: 1}[on]))
}

// label gives the guest's files the labels they would have in Fedora.
func (s *scene) label() {
	s.t.Helper()
	s.Sh("echo alice:x:1000:1000::/mnt/alice:/bin/sh >>/etc/passwd")
	for _, l := range []struct{ label, paths string }{
		{"etc_t", "-R /etc"},
		{"bin_t", "-R /bin"},
		{"shell_exec_t", "/bin/busybox"},
		{"lib_t", "-R /lib /lib64"},
		{"var_run_t", "/run"},
		{"var_log_t", "/var/log"},
		{"tmp_t", "/tmp"},
		{"mnt_t", "/mnt"},
		{"virt_qemu_ga_exec_t", vm.AgentPath},
		{"virtio_device_t", "/dev/vport*"},
		{"null_device_t", "/dev/null"},
		{"boot_t", "/mnt/boot"},
		{"mysqld_db_t", "/mnt/db"},
		{"user_home_dir_t", "/mnt/alice"},
	} {
		s.Sh("chcon system_u:object_r:" + l.label + ":s0 " + l.paths)
	}
	s.Sh("chown 1000:1000 /mnt/alice; chmod 700 /mnt/alice")
	s.Sh("echo secret >/mnt/db/table; chcon system_u:object_r:mysqld_db_t:s0 /mnt/db/table")
}

// systemd is the context of process 1 in a system.
const systemd = "system_u:system_r:init_t:s0"

// startAgent starts the agent as systemd does, so that the policy decides in
// which domain it runs, and connects to it.
func (s *scene) startAgent() {
	s.t.Helper()
	s.startIn(systemd, "exec")
}

// startIn starts the agent by a shell in another context, and connects to it.
// by is what the agent's command line is put behind.
func (s *scene) startIn(context, by string) {
	s.t.Helper()
	const options = "-m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 -t /run"
	s.start(context, by+" "+vm.AgentPath+" "+options)
	s.agent = s.Agent()
	s.agent.Sync(settle)
}

// startMore starts another agent beside the first.
func (s *scene) startMore(options string) {
	s.t.Helper()
	s.start(systemd, "exec "+vm.AgentPath+" -t /tmp "+options)
}

func (s *scene) start(context, command string) {
	s.t.Helper()
	s.started++
	name := fmt.Sprintf("%s-%s-%d", vm.AgentProgram, s.t.Name(), s.started)
	// As runcon(1) does, which wants selinuxfs to be there.
	s.StartProgram(name, "/bin/sh", "-c",
		"printf "+context+" >/proc/self/attr/exec && exec /bin/sh -c '"+command+"'")
	s.t.Cleanup(func() { s.stopAgent(name) })
}

// stopAgent ends an agent and shows what it wrote if the test has failed.
func (s *scene) stopAgent(name string) {
	s.t.Helper()
	ended := s.Wait(name, 0)
	if ended.Running {
		s.Signal(name, syscall.SIGTERM)
		ended = s.Wait(name, settle)
	}
	if s.t.Failed() {
		s.t.Logf("agent (%s):\n%s", ended.Status, ended.Output)
		s.t.Logf("denials:\n%s", strings.Join(s.denials(), "\n"))
	}
	require.False(s.t, ended.Running, "the agent does not end on SIGTERM")
}

// forgetDenials empties the log of denials.
func (s *scene) forgetDenials() {
	s.t.Helper()
	s.Sh("dmesg -c >/dev/null")
}

// denials are the lines of the kernel's log that tell of something denied to
// the agent, whatever its domain.
func (s *scene) denials() []string {
	s.t.Helper()
	var found []string
	for line := range strings.Lines(s.Sh("dmesg")) {
		if strings.Contains(line, "avc:  denied") && strings.Contains(line, "qemu_ga_t:s0 tcontext") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// domain tells in which domain the agent runs.
func (s *scene) domain() string {
	s.t.Helper()
	return strings.TrimRight(s.Sh("cat /proc/$(pidof qemu-ga)/attr/current"), "\x00\n")
}

// requireFrozen requires of exactly these disks that they are frozen. It is
// process 1 that finds out, by writing, and never the agent that is asked.
func (s *scene) requireFrozen(frozen ...string) {
	s.t.Helper()
	for _, disk := range disks {
		is, limit := slices.Contains(frozen, disk.Name), settle
		if is {
			limit = time.Second // an endless wait is long enough
		}
		for _, accepted := range s.Accepts(limit, "/mnt/"+disk.Name) {
			require.Empty(s.t, accepted.Error, accepted.Path)
			require.Equal(s.t, is, accepted.Blocked, accepted.Path)
		}
	}
}

// execBy runs a program by the agent to its end and returns what it wrote.
func execBy(t testing.TB, agent *vm.Agent, path string, args ...string) string {
	t.Helper()
	var started struct{ PID int }
	require.NoError(t, json.Unmarshal(agent.Call("guest-exec",
		map[string]any{"path": path, "arg": args, "capture-output": "merged"}), &started))
	var ended struct {
		Exited bool
		Out    string `json:"out-data"`
	}
	for limit := time.Now().Add(settle); !ended.Exited; time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(limit), "%s does not end", path)
		status := agent.Call("guest-exec-status", map[string]any{"pid": started.PID})
		require.NoError(t, json.Unmarshal(status, &ended))
	}
	return decode(t, ended.Out)
}

// number is a result that is one.
func number(t testing.TB, result json.RawMessage) int {
	t.Helper()
	var n int
	require.NoError(t, json.Unmarshal(result, &n), "%s", result)
	return n
}
