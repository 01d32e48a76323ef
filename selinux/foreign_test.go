package selinux

import (
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// administrator is a system whose administrator asks what the agent may do
// that init would start.
const administrator = `
-- proc/filesystems --
nodev	selinuxfs
-- proc/1/attr/current --
system_u:system_r:init_t:s0
-- proc/thread-self/attr/current --
unconfined_u:unconfined_r:unconfined_t:s0
-- proc/thread-self/status --
Uid:	0	0	0	0
CapEff:	000001ffffffffff
-- proc/thread-self/uid_map --
0 0 4294967295
-- program --
/usr/bin/qemu-ga system_u:object_r:virt_qemu_ga_exec_t:s0
-- sys/fs/selinux/enforce --
1
-- sys/fs/selinux/booleans/virt_qemu_ga_manage_ssh --
0 0
-- sys/fs/selinux/class/process/index --
2
-- sys/fs/selinux/class/process/perms/transition --
2
-- sys/fs/selinux/class/dir/index --
7
-- sys/fs/selinux/class/dir/perms/ioctl --
1
-- sys/fs/selinux/class/dir/perms/read --
2
-- sys/fs/selinux/class/dir/perms/open --
20
-- sys/fs/selinux/class/capability/index --
4
-- sys/fs/selinux/class/capability/perms/dac_read_search --
3
-- sys/fs/selinux/class/capability/perms/sys_admin --
22
-- access --
unconfined_u:unconfined_r:unconfined_t:s0 unconfined_u:unconfined_r:unconfined_t:s0 4 = ffffffff ffffffff 0 0 2 0
system_u:system_r:init_t:s0 system_u:object_r:virt_qemu_ga_exec_t:s0 2 = system_u:system_r:virt_qemu_ga_t:s0
system_u:system_r:virt_qemu_ga_t:s0 system_u:system_r:virt_qemu_ga_t:s0 4 = 200000 ffffffff 0 0 2 0
system_u:system_r:virt_qemu_ga_t:s0 system_u:object_r:mysqld_db_t:s0 7 = 10 ffffffff 0 0 2 0
system_u:system_r:virt_qemu_ga_t:s0 system_u:object_r:boot_t:s0 7 = 80003 ffffffff 0 0 2 0
system_u:system_r:virt_qemu_ga_t:s0 system_u:object_r:user_home_dir_t:s0 7 = 80003 ffffffff 0 0 2 0
-- mounts --
/boot 254:1 ext4 system_u:object_r:boot_t:s0 0755 0 - rw,seclabel
/srv/db 254:2 ext4 system_u:object_r:mysqld_db_t:s0 0755 0 - rw,seclabel
/home/alice 254:3 ext4 system_u:object_r:user_home_dir_t:s0 0700 1000 - rw,seclabel
`

// The administrator may do everything, and is told what the agent may not.
func TestForAgent(t *testing.T) {
	c := unpack(t, txtar.Parse([]byte(administrator)))
	f := c.system.ForAgent()
	require.True(t, f.Foreign)
	require.Equal(t, Context("system_u:system_r:virt_qemu_ga_t:s0"), f.Domain)
	require.Equal(t, []string{"dac_read_search"}, f.LacksCapabilities)
	var causes []Cause
	var reasons []string
	for i, r := range c.roots(f) {
		r.Denial = predict(f, r)
		v := judge(f, r)
		causes, reasons = append(causes, v.Cause), append(reasons, v.Reason)
		require.Equal(t, i > 0, v.Allowed == "no")
	}
	require.Equal(t, []Cause{CauseNone, CauseType, CauseDAC}, causes)
	require.Contains(t, reasons[1], "dir { read open ioctl } on the directory, whose label is system_u:object_r:mysqld_db_t:s0")
	require.Contains(t, reasons[2], "mode 0700 of user 1000")

	require.False(t, f.MayAsk)
	require.Equal(t, "module", judge(f, Root{From: FromFile, Label: "u:r:mysqld_db_t", Denial: Denial{OpOpen, unix.EACCES}}).Advice[0].Kind)

	f.LacksCapabilities = []string{"sys_admin"}
	require.Equal(t, Denial{OpFreeze, unix.EPERM}, predict(f, Root{}))

	// Without an answer it is about the process that asks.
	own := c.system.Probe()
	c.system.ask = func(string, string) (string, error) { return "", unix.EACCES }
	require.False(t, c.system.ForAgent().Foreign)
	require.Equal(t, Context("unconfined_u:unconfined_r:unconfined_t:s0"), own.Domain)
}
