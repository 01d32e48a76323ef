// Package vm boots guests for tests: Debian's kernel under QEMU, and what the
// test asks for in it. The test sees the guest as a hypervisor does, through
// QMP and the agent's virtio-serial port, and from inside, through a control
// port that stays alive while every filesystem is frozen.
//
// Start boots a scratch guest, an initramfs made on the spot with an init
// program of our own (guestinit), in a few seconds:
//
//	v := vm.Start(t, vm.Config{Disks: []vm.Disk{{Name: "data", FS: "xfs"}}})
//	v.StartAgent()
//	agent := v.Agent()
//	agent.Call("guest-fsfreeze-freeze", nil)
//
// StartDebian boots a whole Debian with systemd, in about twenty seconds, and
// has the same methods:
//
//	v := vm.StartDebian(t, vm.Debian{
//		Config:  vm.Config{Files: vm.AgentFiles(t)},
//		Variant: vm.Databases,
//	})
//	v.Systemctl("start", "postgresql")
//	v.Agent().Call("guest-fsfreeze-freeze", nil)
//	shot := v.Snapshot()[vm.RootDisk]
//
// A guest ends with its test. What a guest needs from the machine comes from
// .ci/setup; without it the test is skipped, or fails where CI=true.
package vm
