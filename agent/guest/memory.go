package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MemoryBlock is a piece of the guest's memory that can be taken offline by
// itself.
type MemoryBlock struct {
	Index  uint64
	Online bool
	// CanOffline tells what the kernel believes; it finds out only when told
	// to take the block offline.
	CanOffline bool
}

const memoryDir = "/sys/devices/system/memory"

// MemoryBlocks lists the blocks by their numbers; none on a kernel without
// memory hotplug.
func (r Root) MemoryBlocks() ([]MemoryBlock, error) {
	numbers, err := r.numberedDirs(memoryDir, "memory")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(numbers) == 0 {
		return nil, errors.New("guest reported zero memory blocks!") //nolint:staticcheck,revive // QEMU's words
	}
	list := make([]MemoryBlock, 0, len(numbers))
	for _, n := range numbers {
		dir := memoryBlock(uint64(n))
		state, err := r.firstLine(dir + "/state")
		if errors.Is(err, fs.ErrNotExist) { // unplugged meanwhile
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %s/state: %w", dir, err)
		}
		removable, _ := r.firstLine(dir + "/removable") // not there: no
		list = append(list, MemoryBlock{uint64(n), strings.HasPrefix(state, "online"), removable == "1"})
	}
	return list, nil
}

// SetMemoryBlock takes a block on- or offline. The error is fs.ErrNotExist if
// there is no such block, errors.ErrUnsupported if the kernel has no switch for
// it, or for any, or what the kernel says.
func (r Root) SetMemoryBlock(index uint64, online bool) error {
	dir := memoryBlock(index)
	state, err := r.firstLine(dir + "/state")
	if errors.Is(err, fs.ErrNotExist) {
		if r.exists(memoryDir) && !r.exists(dir) {
			return unix.ENOENT
		}
		return errors.ErrUnsupported
	}
	if err != nil {
		return err
	}
	if online == strings.HasPrefix(state, "online") {
		return nil
	}
	word := "offline"
	if online {
		word = "online"
	}
	return r.writeFile(dir+"/state", word)
}

// MemoryBlockSize returns the size of a block in bytes.
func (r Root) MemoryBlockSize() (uint64, error) {
	text, err := r.firstLine(memoryDir + "/block_size_bytes")
	if err != nil {
		return 0, err
	}
	return parseBlockSize(text)
}

// parseBlockSize reads a hexadecimal number without a prefix:
//
//	8000000
func parseBlockSize(text string) (uint64, error) {
	return strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64)
}

func memoryBlock(index uint64) string {
	return memoryDir + "/memory" + strconv.FormatUint(index, 10)
}
