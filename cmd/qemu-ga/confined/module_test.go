package confined_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/cmd/internal/vm"
	policy "qemu-ga/packaging/selinux"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestModuleAdds compares a policy without and with the module, rule by rule,
// and requires of the difference that it is what testdata says: nothing is
// taken away, and no other domain gets anything.
func TestModuleAdds(t *testing.T) {
	for name, c := range map[string]struct {
		domain        string
		without, with variant
	}{
		"vendor": {"virt_qemu_ga_t", before, after},
		"own":    {"qemu_ga_t", ownBefore, own},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			without, with := analyse(t, link(t, c.without)), analyse(t, link(t, c.with))
			diff := append(without.notIn(with, "- "), with.notIn(without, "+ ")...)
			slices.SortFunc(diff, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
			requireGolden(t, filepath.Join("testdata", "added."+name+".txt"), strings.Join(diff, "\n")+"\n")
			requireRoots(t, with, name == "own")
			requireKept(t, with, c.domain)
		})
	}
}

// requireRoots checks the one attribute that has too many types for a golden
// file: what directories the agent may freeze by.
func requireRoots(t *testing.T, a analysis, own bool) {
	t.Helper()
	roots := 0
	for name := range a.attributes {
		want := a.has(name, "non_security_file_type") || name == "unlabeled_t"
		if known := a.has(name, "mountpoint") || a.has(name, "filesystem_type"); known {
			want = own
		}
		require.Equal(t, want, a.has(name, root), name)
		if want {
			roots++
		}
	}
	require.Greater(t, roots, 2000)
	require.Contains(t, a.attributes, "shadow_t")
	require.False(t, a.has("shadow_t", root))
}

// requireKept looks for what the agent must not have, however it might come to
// it: by a rule of the module, or of the policy for a group of domains or types.
func requireKept(t *testing.T, a analysis, domain string) {
	t.Helper()
	for what, kept := range map[string]struct{ target, class, permissions string }{
		"reads a disk":                    {"", "blk_file", "read write append ioctl"},
		"reads a disk by its SCSI device": {"scsi_generic_device_t", "chr_file", "open read write ioctl"},
		"reads memory":                    {"memory_device_t", "chr_file", "open read write"},
		"reads passwords":                 {"shadow_t", "file", "open read write append create"},
		"reads a database":                {"mysqld_db_t", "file", "open read write append create"},
		"reads unlabelled files":          {"unlabeled_t", "file", "open read write append create"},
		"writes a database's directory":   {"mysqld_db_t", "dir", "write add_name remove_name create rmdir setattr"},
		"changes the policy":              {"", "security", "load_policy setenforce setbool setsecparam setcheckreqprot"},
		"changes a file's label":          {"", "file", "relabelfrom relabelto"},
		"changes a directory's label":     {"", "dir", "relabelfrom relabelto"},
		"looks into processes":            {"", "process", "ptrace setcurrent dyntransition"},
		"loads kernel modules":            {"", "system", "module_load"},
		"runs writable memory":            {"", "process", "execmem execheap execstack"},
		"mounts":                          {"", "filesystem", "mount remount unmount"},
		"writes hooks":                    {"qemu_ga_hook_exec_t", "file", "write append create unlink rename setattr"},
		"writes programs":                 {"bin_t", "file", "write append create unlink rename setattr"},
		"writes configuration":            {"etc_t", "file", "write append create unlink rename setattr"},
	} {
		for rule, permissions := range a.allowed(domain, kept.target, kept.class) {
			// What an administrator has to switch on first.
			if strings.Contains(rule, "nonsecurity_files ]:True") {
				continue
			}
			for permission := range strings.FieldsSeq(kept.permissions) {
				require.NotContains(t, permissions, permission, "%s %s: %s", domain, what, rule)
			}
		}
	}
	// The look must find what is there.
	require.NotEmpty(t, a.allowed(domain, "mysqld_db_t", "dir"))
	require.NotEmpty(t, a.allowed(domain, "bin_t", "file"))
}

// TestModuleInstalls installs the module in a store of a policy's modules, as
// packages do, and removes it. The policy is the smallest that links, so that
// blocks of the module drop out.
func TestModuleInstalls(t *testing.T) {
	vm.Tools(t, "semodule", "checkpolicy")
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etc/selinux/default"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "var/lib/selinux"), 0o755))
	store := func(args ...string) string {
		return run(t, "semodule", append([]string{"-p", dir, "-s", "default", "-n"}, args...)...)
	}
	base, unconfined := filepath.Join(dir, "base.cil"), filepath.Join(dir, "unconfined.cil")
	// A user of a module that is left out.
	text := strings.ReplaceAll(vm.PolicyModule(t, "base"), "(selinuxuser sddm xdm ((s0) (s0)))\n", "")
	require.NoError(t, os.WriteFile(base, []byte(text), 0o600))
	require.NoError(t, os.WriteFile(unconfined, []byte(vm.PolicyModule(t, "unconfined")), 0o600))
	module := filepath.Join(dir, policy.Name+".cil")
	require.NoError(t, os.WriteFile(module, []byte(policy.Module), 0o600))

	require.Empty(t, store("-i", base, "-i", unconfined, "-i", module), "semodule has something to say")
	require.Contains(t, run(t, "semodule", "-p", dir, "-s", "default", "-l"), policy.Name+"\n")
	contexts := filepath.Join(dir, "etc/selinux/default/contexts/files/file_contexts")
	require.Contains(t, readFile(t, contexts), "/usr/bin/qemu-ga\t--\tsystem_u:object_r:qemu_ga_exec_t:s0\n")
	linked, err := filepath.Glob(filepath.Join(dir, "etc/selinux/default/policy/policy.*"))
	require.NoError(t, err)
	require.Len(t, linked, 1)
	rules := run(t, "sesearch", "-A", "-s", "qemu_ga_t", linked[0])
	require.Contains(t, rules, "qemu_ga_root")
	require.NotContains(t, rules, "virt_etc_t", "a block that has nothing to refer to is there")
	run(t, "checkpolicy", "-b", "-M", "-o", os.DevNull, linked[0])

	store("-r", policy.Name)
	require.NotContains(t, readFile(t, contexts), "qemu-ga")
}

// run runs a program to its end, which must be a good one.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	output, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), output)
	return string(output)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func requireGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	require.Equal(t, readFile(t, path), got)
}
