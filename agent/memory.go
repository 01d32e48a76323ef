package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
)

// memoryBlock is a block of the guest's memory.
type memoryBlock struct {
	// PhysIndex is the block's number.
	PhysIndex uint64 `json:"phys-index"`
	// Online tells whether it is in use.
	Online bool `json:"online"`
	// CanOffline tells whether it can be taken offline; it is always there
	// in an answer, and of no use in a request.
	CanOffline *bool `json:"can-offline,omitzero"`
}

// setMemoryBlocksArgs are the arguments of guest-set-memory-blocks.
type setMemoryBlocksArgs struct {
	// MemBlks are the blocks to change.
	MemBlks []memoryBlock `json:"mem-blks"`
}

// memoryBlockResponse is a member of the answer to guest-set-memory-blocks.
type memoryBlockResponse struct {
	// PhysIndex is the block's number.
	PhysIndex uint64 `json:"phys-index"`
	// Response is "success", "not-found", "operation-not-supported" or
	// "operation-failed".
	Response string `json:"response"`
	// ErrorCode is the system's error number, if there is one.
	ErrorCode *int64 `json:"error-code,omitzero"`
}

// memoryBlockInfo is the answer to guest-get-memory-block-info.
type memoryBlockInfo struct {
	// Size is the size of a block in bytes.
	Size uint64 `json:"size"`
}

// memoryBlocks answers guest-get-memory-blocks. Lists the pieces of memory that
// the kernel can take offline by themselves.
func (a *Agent) memoryBlocks(context.Context, noArgs) ([]memoryBlock, error) {
	blocks, err := a.root.MemoryBlocks()
	if err != nil {
		return nil, err
	}
	list := make([]memoryBlock, 0, len(blocks))
	for i := range blocks {
		list = append(list, memoryBlock{blocks[i].Index, blocks[i].Online, &blocks[i].CanOffline})
	}
	return list, nil
}

// setMemoryBlocks answers guest-set-memory-blocks. Takes blocks of memory on- or
// offline. Each has a result, whatever becomes of the others.
func (a *Agent) setMemoryBlocks(ctx context.Context, args setMemoryBlocksArgs) ([]memoryBlockResponse, error) {
	a.audit(ctx, fmt.Sprintf("guest-set-memory-blocks called, blocks: %d", len(args.MemBlks)))
	list := make([]memoryBlockResponse, 0, len(args.MemBlks))
	done := 0
	for _, b := range args.MemBlks {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r := memoryBlockResponse{PhysIndex: b.PhysIndex}
		err := a.root.SetMemoryBlock(b.PhysIndex, b.Online)
		r.Response, r.ErrorCode = blockOutcome(err)
		list = append(list, r)
		if err == nil {
			done++
		}
	}
	a.outcome(ctx, "%d of them are as wanted", done)
	return list, nil
}

// blockOutcome words what became of a block.
func blockOutcome(err error) (response string, code *int64) {
	number := syscall.Errno(0)
	if errors.As(err, &number) {
		n := int64(number)
		code = &n
	}
	switch {
	case err == nil:
		return "success", nil
	case errors.Is(err, fs.ErrNotExist):
		return "not-found", code
	case number != 0:
		return "operation-failed", code
	case errors.Is(err, errors.ErrUnsupported):
		n := int64(unix.ENOENT) // as qemu-ga, which misses a file of the block
		return "operation-not-supported", &n
	}
	return "operation-failed", nil
}

// memoryBlockInfo answers guest-get-memory-block-info. Tells how large the blocks
// of guest-get-memory-blocks are.
func (a *Agent) memoryBlockInfo(context.Context, noArgs) (memoryBlockInfo, error) {
	size, err := a.root.MemoryBlockSize()
	if err != nil {
		return memoryBlockInfo{}, fmt.Errorf("cannot read the size of memory blocks: %s", guest.Strerror(err))
	}
	return memoryBlockInfo{Size: size}, nil
}
