package main_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
)

// One guest for the commands that change it, done for real.
func TestVMCommands(t *testing.T) {
	v := vm.Start(t, guestConfig(vm.Config{
		BzImage: true, Disks: []vm.Disk{{Name: "data", FS: "ext4"}},
		Programs: []string{"chpasswd"}, Files: passwordFiles(t),
	}))
	for _, test := range []struct {
		name string
		run  func(*testing.T, *vm.VM)
	}{
		{"set-time", testSetTime},
		{"set-vcpus", testSetVCPUs},
		{"set-memory-blocks", testSetMemoryBlocks},
		{"set-user-password", testSetPassword},
		{"ssh keys", testSSHKeys},
		{"disks", testDisks},
		{"suspend-ram", testSuspend},
		// This is the guest's end.
		{"shutdown", testShutdown},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, v.In(t)) })
	}
}

type args = map[string]any

// seconds reads a number of seconds that a script prints.
func seconds(t *testing.T, v *vm.VM, script string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(v.Sh(script)), 10, 64)
	require.NoError(t, err)
	return n
}

// tolerance is for what passes while a busy machine answers.
const tolerance = 60

func testSetTime(t *testing.T, v *vm.VM) {
	const then, rtc = int64(1_900_000_000), "cat /sys/class/rtc/rtc0/since_epoch"
	agent := startAgent(t, v)
	// Another program has the clock for a moment.
	v.Sh("sh -c 'exec 3</dev/rtc0; touch /run/has-clock; sleep 1' >/dev/null 2>&1 & until [ -e /run/has-clock ]; do sleep 0.05; done")
	agent.Call("guest-set-time", args{"time": then * int64(time.Second)})
	require.InDelta(t, then, seconds(t, v, "date +%s"), tolerance)
	require.InDelta(t, then, seconds(t, v, rtc), tolerance)

	v.Sh("date -s @1600000000")
	agent.Call("guest-set-time", nil)
	require.InDelta(t, then, seconds(t, v, "date +%s"), tolerance)
	require.InDelta(t, 0, seconds(t, v, "echo $(($("+rtc+") - $(date +%s)))"), 2)

	agent.Fail("guest-set-time", args{"time": -int64(time.Hour)})
	agent.Call("guest-set-time", args{"time": time.Now().UnixNano()})
}

func testSetVCPUs(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	set := func(online bool) {
		t.Helper()
		got := agent.Call("guest-set-vcpus", args{"vcpus": []args{{"logical-id": 1, "online": online}}})
		require.Equal(t, 1, number(t, got))
	}
	set(false)
	require.Equal(t, "1\n", v.Sh("nproc"))
	var cpus []struct {
		ID         int `json:"logical-id"`
		Online     bool
		CanOffline bool `json:"can-offline"`
	}
	require.NoError(t, json.Unmarshal(agent.Call("guest-get-vcpus", nil), &cpus))
	require.Len(t, cpus, 2)
	for _, cpu := range cpus {
		require.Equal(t, cpu.ID == 0, cpu.Online)
		require.Equal(t, cpu.ID != 0, cpu.CanOffline)
	}
	set(true)
	require.Equal(t, "2\n", v.Sh("nproc"))
	failed := agent.Fail("guest-set-vcpus", args{"vcpus": []args{{"logical-id": 0, "online": false}}})
	require.Contains(t, failed.Desc, "logical processor #0 can't be offlined")
}

func testSetMemoryBlocks(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	var blocks []struct {
		Index  uint64 `json:"phys-index"`
		Online bool
	}
	require.NoError(t, json.Unmarshal(agent.Call("guest-get-memory-blocks", nil), &blocks))
	require.NotEmpty(t, blocks)
	// The kernel may need any block, but not all of them.
	offline := 0
	for _, b := range blocks {
		set := func(online bool) string {
			got := agent.Call("guest-set-memory-blocks", args{"mem-blks": []args{{"phys-index": b.Index, "online": online}}})
			var result []struct{ Response string }
			require.NoError(t, json.Unmarshal(got, &result))
			require.Len(t, result, 1)
			return result[0].Response
		}
		state := fmt.Sprintf("cat /sys/devices/system/memory/memory%d/state", b.Index)
		switch response := set(false); response {
		case "success":
			offline++
			require.Equal(t, "offline\n", v.Sh(state))
			require.Equal(t, "success", set(true))
		default:
			require.Equal(t, "operation-failed", response)
		}
		require.Equal(t, "online\n", v.Sh(state))
	}
	t.Logf("%d of %d blocks went offline", offline, len(blocks))
	require.NotZero(t, offline)
}

// passwordFiles are what chpasswd finds out only when it runs: PAM's module
// for passwords, its libraries, and how it is to be used.
func passwordFiles(t *testing.T) map[string]string {
	t.Helper()
	const policy = "password required pam_unix.so sha512 rounds=5000\n"
	file := filepath.Join(t.TempDir(), "pam")
	require.NoError(t, os.WriteFile(file, []byte(policy), 0o644))
	files := map[string]string{"/etc/pam.d/chpasswd": file, "/etc/pam.d/other": file}
	modules, err := filepath.Glob("/lib/*-linux-gnu/security/pam_unix.so")
	require.NoError(t, err)
	require.NotEmpty(t, modules)
	files[modules[0]] = modules[0]
	libraries, err := exec.Command("ldd", modules[0]).Output()
	require.NoError(t, err)
	for word := range strings.FieldsSeq(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			files[word], err = filepath.EvalSymlinks(word)
			require.NoError(t, err)
		}
	}
	return files
}

func testSetPassword(t *testing.T, v *vm.VM) {
	const hash = "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g."
	v.Sh("echo root:*:19000:0:99999:7::: >/etc/shadow; chmod 600 /etc/shadow")
	agent := startAgent(t, v)
	set := func(password string, crypted bool) string {
		t.Helper()
		agent.Call("guest-set-user-password", args{
			"username": "root", "password": base64.StdEncoding.EncodeToString([]byte(password)), "crypted": crypted,
		})
		return strings.TrimSpace(v.Sh("cut -d: -f2 /etc/shadow"))
	}
	require.Equal(t, hash, set(hash, true))
	plain := set("sw0rdfish", false)
	fields := strings.Split(plain, "$") // $6$SALT$HASH, or with rounds before the salt
	require.GreaterOrEqual(t, len(fields), 4, plain)
	salt := fields[len(fields)-2]
	made := v.Sh("mkpasswd -m sha512 -S '" + salt + "' sw0rdfish")
	require.Equal(t, fields[len(fields)-1], strings.TrimSpace(made[strings.LastIndex(made, "$")+1:]))
	failed := agent.Fail("guest-set-user-password", args{"username": "nobody", "password": "eA==", "crypted": false})
	require.Contains(t, failed.Desc, "child process has failed to set user password: ")
}

func testSSHKeys(t *testing.T, v *vm.VM) {
	const file = "/root/.ssh/authorized_keys"
	agent := startAgent(t, v)
	agent.Call("guest-ssh-add-authorized-keys", args{"username": "root", "keys": []string{"ssh-rsa A", "ssh-rsa B"}})
	require.Equal(t, "ssh-rsa A\nssh-rsa B\n", v.Sh("cat "+file))
	require.Equal(t, "600 root\n700 root\n", v.Sh("stat -c '%a %U' "+file+" /root/.ssh"))
	require.JSONEq(t, `{"keys": ["ssh-rsa B", "ssh-rsa A"]}`,
		string(agent.Call("guest-ssh-get-authorized-keys", args{"username": "root"})))
	agent.Call("guest-ssh-remove-authorized-keys", args{"username": "root", "keys": []string{"ssh-rsa A"}})
	require.Equal(t, "ssh-rsa B\n", v.Sh("cat "+file))
}

func testDisks(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	var disks []struct {
		Name      string
		Partition bool
		Address   struct {
			BusType    string                     `json:"bus-type"`
			Controller struct{ Domain, Slot int } `json:"pci-controller"`
			Dev        string
		}
	}
	require.NoError(t, json.Unmarshal(agent.Call("guest-get-disks", nil), &disks))
	require.Len(t, disks, 1)
	require.Equal(t, v.GuestDisk("data"), disks[0].Name)
	require.Equal(t, "virtio", disks[0].Address.BusType)
	require.Equal(t, disks[0].Name, disks[0].Address.Dev)
	require.Zero(t, disks[0].Address.Controller.Domain)
	require.Positive(t, disks[0].Address.Controller.Slot)
	require.False(t, disks[0].Partition)
}

func testSuspend(t *testing.T, v *vm.VM) {
	agent := startAgent(t, v)
	seen := len(v.Events())
	agent.Send("guest-suspend-ram", nil) // which has no reply
	v.WaitEvent(seen, "SUSPEND", nil)
	v.QMP("system_wakeup", nil)
	v.WaitEvent(seen, "WAKEUP", nil)
	agent.Sync(settle)
	failed := agent.Fail("guest-suspend-hybrid", nil)
	require.Contains(t, failed.Desc, "the requested suspend mode is not supported by the guest")
}

func testShutdown(_ *testing.T, v *vm.VM) {
	v.Sh("mkdir -p /sbin; printf '#!/bin/sh\nexec busybox reboot -f\n' >/sbin/reboot; chmod +x /sbin/reboot")
	v.StartAgent()
	agent := v.Agent()
	agent.Sync(settle)
	seen := len(v.Events())
	agent.Send("guest-shutdown", args{"mode": "reboot"})
	v.WaitEvent(seen, "SHUTDOWN", map[string]any{"reason": "guest-reset"}) // QEMU ends, as it was told
}

// TestVMHibernate has the kernel alone write the guest's memory to disk: there
// is neither systemd nor pm-utils.
func TestVMHibernate(t *testing.T) {
	v := vm.Start(t, guestConfig(vm.Config{BzImage: true, Disks: []vm.Disk{{Name: "swap", SizeMiB: 512}}}))
	v.StartAgent()
	agent := v.Agent()
	agent.Sync(settle)
	failed := agent.Fail("guest-suspend-disk", nil)
	require.Contains(t, failed.Desc, "suspend: cannot write to '/sys/power/state': ", "there is no swap yet")
	v.Sh("mkswap " + v.GuestDisk("swap") + " && swapon " + v.GuestDisk("swap"))
	seen := len(v.Events())
	agent.Send("guest-suspend-disk", nil)
	waitEvent(v, seen, "SUSPEND_DISK")
	waitEvent(v, seen, "SHUTDOWN")
	// Where the signature of swap space was, the kernel says what it holds now.
	image, err := os.Open(v.ImageFile("swap"))
	require.NoError(t, err)
	defer image.Close()
	signature := make([]byte, 9)
	_, err = image.ReadAt(signature, 4096-10)
	require.NoError(t, err)
	require.Equal(t, "S1SUSPEND", string(signature))
}
