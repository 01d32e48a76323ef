package vm

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/stretchr/testify/require"
)

// AgentPortID is the agent's port in QEMU's events.
const AgentPortID = "agent-port"

var agentPort = map[string]any{
	"driver": "virtserialport", "id": AgentPortID, "bus": "serial.0", "nr": 2,
	"chardev": "agent", "name": "org.qemu.guest_agent.0",
}

// HotPlugPort plugs the agent's port in.
func (v *VM) HotPlugPort() {
	v.t.Helper()
	v.QMP("device_add", agentPort)
}

// HotUnplugPort takes the agent's port away.
func (v *VM) HotUnplugPort() {
	v.t.Helper()
	v.unplug(AgentPortID)
}

// HotPlugDisk plugs a new disk in and returns its device file in the guest.
func (v *VM) HotPlugDisk(disk Disk) string {
	v.t.Helper()
	v.plug(makeImage(v.t, v.dir, disk))
	return v.GuestDisk(disk.Name)
}

// HotPlugImage plugs an image file in, to be looked at inside the guest.
func (v *VM) HotPlugImage(name, path string) string {
	v.t.Helper()
	v.plug(&image{disk: Disk{Name: name}, node: name, path: path, format: "raw"})
	return v.GuestDisk(name)
}

// HotUnplugDisk takes a disk away; its image file stays.
func (v *VM) HotUnplugDisk(name string) {
	v.t.Helper()
	v.unplug("dev-" + name)
	v.QMP("blockdev-del", map[string]any{"node-name": v.images[name].node})
	delete(v.images, name)
}

func (v *VM) plug(i *image) {
	v.t.Helper()
	v.QMP("blockdev-add", i.blockdev())
	v.QMP("device_add", i.device())
	v.images[i.disk.Name] = i
}

func (v *VM) unplug(id string) {
	v.t.Helper()
	seen := len(v.Events())
	v.QMP("device_del", map[string]any{"id": id})
	v.WaitEvent(seen, "DEVICE_DELETED", map[string]any{"device": id})
}

// Snapshot takes a snapshot of some disks, or of all, at one moment, as a
// hypervisor does, and returns by disk a raw image of that moment.
func (v *VM) Snapshot(disks ...string) map[string]string {
	v.t.Helper()
	v.shots++
	var actions []map[string]any
	left := map[string]image{}
	for name, image := range v.images {
		if len(disks) > 0 && !slices.Contains(disks, name) {
			continue
		}
		left[name] = *image
		node := fmt.Sprintf("%s-%d", name, v.shots)
		path := filepath.Join(v.dir, node+".qcow2")
		actions = append(actions, map[string]any{
			"type": "blockdev-snapshot-sync",
			"data": map[string]any{
				"node-name": image.node, "snapshot-node-name": node,
				"snapshot-file": path, "format": "qcow2",
			},
		})
		image.node, image.path, image.format = node, path, "qcow2"
	}
	v.QMP("transaction", map[string]any{"actions": actions})
	shots := map[string]string{}
	for name, image := range left {
		shots[name] = filepath.Join(v.dir, fmt.Sprintf("shot-%s-%d.raw", name, v.shots))
		runTool(v.t, "qemu-img", "convert", "-U", "-f", image.format, "-O", "raw", image.path, shots[name])
	}
	if len(disks) == 0 {
		require.Len(v.t, shots, len(v.images))
	} else {
		require.Len(v.t, shots, len(disks))
	}
	return shots
}
