package guest_test

import (
	"testing"

	"qemu-ga/cmd/internal/vm"
	"qemu-ga/cmd/qemu-ga/faults"
)

// TestVMFaults does every fault to our agent, which has to survive it, and to
// the C agent, which is only watched; each family in one guest for each.
func TestVMFaults(t *testing.T) {
	for _, family := range []struct {
		name   string
		config vm.Config
		faults []fault
	}{
		{"guest", vm.Config{}, guestFaults},
		{"memory", vm.Config{MemoryMiB: 224}, memoryFaults},
	} {
		first := len(rows)
		for _, f := range family.faults {
			rows = append(rows, faults.Row{
				Fault: f.name, Did: f.did, Ours: faults.Outcome{Failed: true}, Reference: faults.Outcome{Omitted: f.omit},
			})
		}
		for _, reference := range []bool{false, true} {
			name := family.name + "/ours"
			if reference {
				name = family.name + "/reference"
			}
			t.Run(name, func(t *testing.T) {
				config := family.config
				config.Reference = reference
				config.Disks = []vm.Disk{{Name: "a", FS: "ext4"}, {Name: "b", FS: "xfs"}}
				v := vm.Start(t, config)
				for i, f := range family.faults {
					row := &rows[first+i]
					switch {
					case !reference:
						t.Run(f.name, func(t *testing.T) { row.Ours = play(t, v, f, false) })
					case f.omit == "":
						t.Run(f.name, func(t *testing.T) { row.Reference = play(t, v, f, true) })
					}
				}
			})
		}
	}
}
