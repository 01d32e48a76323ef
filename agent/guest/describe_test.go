package guest

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// describeDevices writes out the facts of a guest's devices, one a line. What
// a captured guest does not have is an error or an empty list.
func describeDevices(t *testing.T, out io.Writer, r Root) {
	t.Helper()
	devices, err := r.BlockDevices()
	require.NoError(t, err)
	for _, d := range devices {
		fmt.Fprintf(out, "device %s partition %t below %q alias %q", d.Node, d.Partition, d.Below, d.Alias)
		if d.Disk != nil {
			fmt.Fprintf(out, " %s %d:%d:%d %q", d.Disk.BusType, d.Disk.Bus, d.Disk.Target, d.Disk.Unit, d.Disk.Serial)
		}
		fmt.Fprintln(out)
	}
	cpus, err := r.CPUs()
	for _, c := range cpus {
		fmt.Fprintf(out, "cpu %+v\n", c)
	}
	require.Equal(t, cpus == nil, err != nil)
	blocks, err := r.MemoryBlocks()
	require.NoError(t, err)
	for _, b := range blocks {
		fmt.Fprintf(out, "memory %+v\n", b)
	}
	if size, err := r.MemoryBlockSize(); err == nil {
		fmt.Fprintf(out, "memory blocks of %d\n", size)
	}
	stats, err := r.DiskStats()
	require.Equal(t, stats == nil, err != nil)
	for _, s := range stats {
		fmt.Fprintf(out, "diskstats %+v\n", s)
	}
	times, err := r.CPUStats()
	require.Equal(t, times == nil, err != nil)
	for _, s := range times {
		fmt.Fprintf(out, "cpustats %+v\n", s)
	}
	routes, err := r.Routes()
	require.NoError(t, err)
	for _, route := range routes {
		fmt.Fprintf(out, "route %+v\n", route)
	}
}
