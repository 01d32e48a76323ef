package agent

import (
	"context"
	"fmt"

	"qemu-ga/agent/guest"
)

// osInfo is the answer to guest-get-osinfo. All but the kernel's names come
// from os-release(5), where a variable may be set to nothing or not be set.
type osInfo struct {
	// KernelRelease is what uname -r prints.
	KernelRelease string `json:"kernel-release,omitzero"`
	// KernelVersion is what uname -v prints.
	KernelVersion string `json:"kernel-version,omitzero"`
	// Machine is what uname -m prints.
	Machine string `json:"machine,omitzero"`
	// ID names the distribution: "debian".
	ID *string `json:"id,omitzero"`
	// Name is its name for people: "Debian GNU/Linux".
	Name *string `json:"name,omitzero"`
	// PrettyName is the name with the version.
	PrettyName *string `json:"pretty-name,omitzero"`
	// Version is the version for people: "12 (bookworm)".
	Version *string `json:"version,omitzero"`
	// VersionID is the version: "12".
	VersionID *string `json:"version-id,omitzero"`
	// Variant is the edition for people: "Server Edition".
	Variant *string `json:"variant,omitzero"`
	// VariantID is the edition: "server".
	VariantID *string `json:"variant-id,omitzero"`
}

// osInfo answers guest-get-osinfo. Names the kernel and the distribution.
func (a *Agent) osInfo(context.Context, noArgs) (osInfo, error) {
	kernel, err := guest.ReadKernel()
	if err != nil {
		return osInfo{}, fmt.Errorf("uname failed: %s", guest.Strerror(err))
	}
	vars := a.root.OSRelease()
	value := func(name string) *string {
		if v, ok := vars[name]; ok {
			return &v
		}
		return nil
	}
	return osInfo{
		KernelRelease: kernel.Release, KernelVersion: kernel.Version, Machine: kernel.Machine,
		ID: value("ID"), Name: value("NAME"), PrettyName: value("PRETTY_NAME"),
		Version: value("VERSION"), VersionID: value("VERSION_ID"),
		Variant: value("VARIANT"), VariantID: value("VARIANT_ID"),
	}, nil
}

// hostName is the answer to guest-get-host-name.
type hostName struct {
	// HostName is the kernel's host name, fully qualified or not.
	HostName string `json:"host-name"`
}

// hostName answers guest-get-host-name. Tells the guest's host name.
func (a *Agent) hostName(context.Context, noArgs) (hostName, error) {
	name, err := guest.ReadHostName()
	if err != nil {
		return hostName{}, fmt.Errorf("cannot get hostname: %s", guest.Strerror(err))
	}
	return hostName{HostName: name}, nil
}
