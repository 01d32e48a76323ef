// Package vm boots scratch guests for tests: Debian's kernel under QEMU, an
// initramfs made on the spot, and an init program (guestinit) that does in the
// guest what the test asks for. The test sees the guest as a hypervisor does,
// through QMP and the agent's virtio-serial port, and from inside, through a
// control port that stays alive while every filesystem is frozen.
//
//	v := vm.Start(t, vm.Config{Disks: []vm.Disk{{Name: "data", FS: "xfs"}}})
//	v.StartAgent()
//	agent := v.Agent()
//	agent.Call("guest-fsfreeze-freeze", nil)
//
// A guest ends with its test. What a guest needs from the machine comes from
// .ci/setup; without it the test is skipped, or fails where CI=true.
package vm
