package vm

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModulesLoadAfterWhatTheyNeed(t *testing.T) {
	graph := parseModules("kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/jbd2/jbd2.ko\n" +
		"kernel/fs/jbd2/jbd2.ko:\nkernel/lib/crc16.ko:\nkernel/drivers/md/dm-mod.ko: kernel/lib/crc16.ko\n")
	order := graph.appendInOrder(nil, graph.path["dm_mod"])
	order = graph.appendInOrder(order, graph.path["ext4"])
	require.Equal(t, []string{
		"kernel/lib/crc16.ko", "kernel/drivers/md/dm-mod.ko",
		"kernel/fs/jbd2/jbd2.ko", "kernel/fs/ext4/ext4.ko",
	}, order)
}
