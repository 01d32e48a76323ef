package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"qemu-ga/agent/guest"
)

// logicalProcessor is a CPU as the guest sees it.
type logicalProcessor struct {
	// LogicalID is the CPU's number in the guest.
	LogicalID int64 `json:"logical-id"`
	// Online tells whether it is in use.
	Online bool `json:"online"`
	// CanOffline tells whether it can be taken offline; it is always there
	// in an answer, and of no use in a request.
	CanOffline *bool `json:"can-offline,omitzero"`
}

// setVCPUsArgs are the arguments of guest-set-vcpus.
type setVCPUsArgs struct {
	// VCPUs are the CPUs to change, in order.
	VCPUs []logicalProcessor `json:"vcpus"`
}

// vcpus answers guest-get-vcpus. Lists the CPUs by their numbers.
func (a *Agent) vcpus(context.Context, noArgs) ([]logicalProcessor, error) {
	cpus, err := a.root.CPUs()
	if err != nil {
		return nil, vcpuError(err)
	}
	list := make([]logicalProcessor, 0, len(cpus))
	for i := range cpus {
		list = append(list, logicalProcessor{int64(cpus[i].Number), cpus[i].Online, &cpus[i].CanOffline})
	}
	return list, nil
}

// setVCPUs answers guest-set-vcpus. Takes CPUs on- or offline, and returns the
// number of those that are as they were wanted. It stops at the first that is not; an error is the answer only
// if that is the first of all.
func (a *Agent) setVCPUs(ctx context.Context, args setVCPUsArgs) (int64, error) {
	a.audit(ctx, fmt.Sprintf("guest-set-vcpus called, processors: %d", len(args.VCPUs)))
	for i, v := range args.VCPUs {
		if err := a.setVCPU(v); err != nil {
			if i == 0 {
				return 0, err
			}
			a.outcome(ctx, "%d of them are as wanted: %v", i, err)
			return int64(i), nil
		}
	}
	return int64(len(args.VCPUs)), nil
}

func (a *Agent) setVCPU(v logicalProcessor) error {
	err := a.root.SetCPU(v.LogicalID, v.Online)
	return vcpuError(err)
}

// vcpuError words an error in QEMU's way, slashes and all.
func vcpuError(err error) error {
	failed, ok := errors.AsType[*os.PathError](err)
	if !ok {
		return err
	}
	reason := failed.Err
	if !errors.Is(failed.Err, io.ErrUnexpectedEOF) {
		reason = guest.Worded(failed.Err)
	}
	words := map[string]string{
		"access": "Could not open '%s/': %w", "open": "could not open %s//online: %w",
		"read": `pread("%s//online"): %w`, "write": `pwrite("%s//online"): %w`,
	}[failed.Op]
	return fmt.Errorf(words, strings.TrimSuffix(failed.Path, "/online"), reason)
}
