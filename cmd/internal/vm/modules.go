package vm

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// baseModules are what every guest needs: the host, disks, and the checksum
// that filesystems ask the kernel for by name.
var baseModules = []string{"virtio_pci", "virtio_console", "virtio_blk", "crc32c_generic"}

// fsModules are the modules of a filesystem where it is not one of its name.
var fsModules = map[string][]string{
	"vfat": {"vfat", "nls_ascii", "nls_cp437"},
}

// addModules adds the modules that a guest needs and returns their paths in
// the order in which they must be loaded.
func addModules(t testing.TB, a *archive, config Config) []string {
	t.Helper()
	kernel := kernelDir(t)
	release, err := os.ReadFile(filepath.Join(kernel, "release"))
	require.NoError(t, err)
	dir := filepath.Join("lib/modules", strings.TrimSpace(string(release)))
	dep, err := os.ReadFile(filepath.Join(kernel, dir, "modules.dep"))
	require.NoError(t, err)
	builtin, err := os.ReadFile(filepath.Join(kernel, dir, "modules.builtin"))
	require.NoError(t, err)

	names := append([]string{}, baseModules...)
	for _, disk := range config.Disks {
		if modules, ok := fsModules[disk.FS]; ok {
			names = append(names, modules...)
		} else if disk.FS != "" {
			names = append(names, disk.FS)
		}
	}
	if config.Vsock != nil {
		names = append(names, vsockModule)
	}
	graph := parseModules(string(dep))
	var order []string
	for _, name := range append(names, config.Modules...) {
		if strings.Contains(string(builtin), "/"+name+".ko\n") {
			continue
		}
		require.Contains(t, graph.path, name, "no such kernel module")
		order = graph.appendInOrder(order, graph.path[name])
	}
	for i, module := range order {
		order[i] = filepath.Join("/", dir, module)
		a.file(order[i], filepath.Join(kernel, dir, module))
	}
	return order
}

// moduleGraph is what modules.dep says.
type moduleGraph struct {
	path  map[string]string   // by name
	needs map[string][]string // by path
}

// parseModules reads lines like
//
//	kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko
func parseModules(dep string) moduleGraph {
	g := moduleGraph{path: map[string]string{}, needs: map[string][]string{}}
	for line := range strings.Lines(dep) {
		path, needs, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(path), ".ko")
		g.path[strings.ReplaceAll(name, "-", "_")] = path
		g.path[name] = path
		g.needs[path] = strings.Fields(needs)
	}
	return g
}

// appendInOrder appends a module behind all that it needs.
func (g moduleGraph) appendInOrder(order []string, path string) []string {
	if slices.Contains(order, path) {
		return order
	}
	for _, need := range g.needs[path] {
		order = g.appendInOrder(order, need)
	}
	return append(order, path)
}
