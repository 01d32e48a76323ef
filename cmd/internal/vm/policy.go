package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// PolicyBase is an SELinux policy that others are made from.
type PolicyBase string

const (
	// ReferencePolicy is Debian's: the reference policy, which has no domain
	// for a guest agent.
	ReferencePolicy PolicyBase = "reference"
	// VendorPolicy is the same without the one type by which our module knows
	// it: with a stand-in for virt_qemu_ga_t it is to the module what Fedora's
	// policy is.
	VendorPolicy PolicyBase = "vendor"
)

// ownMark is the type that marks the reference policy, and what VendorPolicy
// has in its place.
const (
	ownMark    = "initrc_runtime_t"
	vendorMark = "initrc_run_t"
)

// policyVersion is the newest that Debian 12's kernel and tools both know.
const policyVersion = "33"

// Policy links an SELinux policy out of a base and some modules in CIL, and
// returns the file that a kernel loads. It is made once, in some six seconds,
// and kept in .cache/selinux/built.
func Policy(t testing.TB, base PolicyBase, modules ...string) string {
	t.Helper()
	Tools(t, "secilc")
	text := policyModules(t, base)
	for _, module := range modules {
		text = append(append(text, '\n'), module...)
	}
	dir := filepath.Join(root(), ".cache", "selinux", "built")
	policy := filepath.Join(dir, hash(string(text))+"."+policyVersion)
	defer lockDir(t, dir)()
	if exists(t, policy) {
		return policy
	}
	source := filepath.Join(dir, "policy.cil")
	require.NoError(t, os.WriteFile(source, text, 0o600))
	next := filepath.Join(dir, "next")
	// As semodule calls the same compiler.
	// -D: what the policy has the log keep quiet about is denied all the same.
	secilc := exec.Command("secilc", "-D", "-M", "true", "-c", policyVersion, "-o", next, "-f", next+".contexts", source)
	output, err := secilc.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Empty(t, string(output), "secilc has something to say")
	require.NoError(t, os.Rename(next+".contexts", policy+".contexts"))
	require.NoError(t, os.Rename(next, policy))
	return policy
}

// PolicyModule returns the text of one module of Debian's policy.
func PolicyModule(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(cached(t, "selinux/reference/"+name+".cil", ".ci/setup selinux"))
	require.NoError(t, err)
	return string(text)
}

// policyModules returns the text of all modules of a base.
func policyModules(t testing.TB, base PolicyBase) []byte {
	t.Helper()
	complete := cached(t, "selinux/reference/complete", ".ci/setup selinux")
	files, err := filepath.Glob(filepath.Join(filepath.Dir(complete), "*.cil"))
	require.NoError(t, err)
	var text []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		text = append(text, data...)
	}
	if base == VendorPolicy {
		text = bytes.ReplaceAll(text, []byte(ownMark), []byte(vendorMark))
	}
	return text
}

// audited turns auditing on in a kernel's command line with SELinux: denials
// are told through it. Another audit= further on would come too late.
func audited(commandLine string) string {
	if strings.Contains(commandLine, "selinux") {
		return strings.Replace(commandLine, "audit=0", "audit=1", 1)
	}
	return commandLine
}

// callsPass makes the domain permissive that the kernel starts process 1 in,
// and with it all that a test has done in the guest: systemd refuses it to
// others than administrators.
const callsPass = `
echo '(typepermissive kernel_t)' >/root/calls.cil
semodule -n -i /root/calls.cil
rm /root/calls.cil
`
