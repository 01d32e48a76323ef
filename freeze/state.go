package freeze

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"qemu-ga/freeze/mountinfo"

	"golang.org/x/sys/unix"
)

// stateName is qemu-ga's name for the file that says that filesystems are
// frozen. qemu-ga leaves it empty; ours names them.
const stateName = "qga.state.isfrozen"

// state is what the file holds: enough for the next agent, or for
// `qemu-ga thaw`, to thaw what a freeze has left frozen and to tell the host.
type state struct {
	// Phase is Freezing while a hook prepares the applications, Frozen while
	// filesystems are frozen or about to be, Expired when they are thawed and
	// the host has not been told, Thawed when it has been and only Targets
	// are left to be thawed.
	Phase State `json:"phase"`
	// Boot is the kernel's random number of this boot: a file of an earlier
	// one is stale.
	Boot string `json:"boot"`
	// Since is when the freeze was asked for, Deadline how long it may last.
	Since    time.Time     `json:"since"`
	Deadline time.Duration `json:"deadline"`
	// By says who asked.
	By string `json:"by,omitempty"`
	// Hooks are the programs that were run with "freeze", in this order: a
	// "thaw" is owed. HookDirs tells that they are scripts of hook directories.
	Hooks    []string `json:"hooks,omitempty"`
	HookDirs bool     `json:"hook-dirs,omitempty"`
	// HookProcess is the run of the last, while it may still be under way.
	HookProcess process `json:"hook-process,omitzero"`
	// RCU tells that grace periods may have been left expedited.
	RCU bool `json:"rcu,omitempty"`
	// Freezer is the process that freezes them: while it lives, it may.
	Freezer process `json:"freezer,omitzero"`
	// Targets are the filesystems that may be frozen. In the phases Expired
	// and Thawed they are those whose ioctl is stuck in the kernel.
	Targets []stateTarget `json:"targets,omitempty"`
	// Thawed and Why say when and why the freeze ended, once it has.
	Thawed time.Time `json:"thawed,omitzero"`
	Why    string    `json:"why,omitempty"`
}

// stateTarget names a filesystem for a later process: by its superblock's
// number, as mount points may have changed.
type stateTarget struct {
	Dev   mountinfo.Dev `json:"dev"`
	Point string        `json:"point"`
	Lands []int         `json:"lands,omitempty"`
	// Freezer is the process that may yet freeze it, of one that is stuck.
	Freezer process `json:"freezer,omitzero"`
	// Type and Source find it where it is mounted nowhere any more.
	Type   string `json:"type,omitempty"`
	Source string `json:"source,omitempty"`
}

// foreign is the state of a file that is not ours: qemu-ga's own is empty.
var foreign = state{Phase: Frozen, Why: "another agent"}

// readState reads the state directory's file. It reports false if there is
// none, or only that of an earlier boot. A file that cannot be understood is another agent's: it still says
// that filesystems may be frozen. So does one that somebody else than root may
// have written, but none of its words is believed: they name programs to be
// run, and processes to be killed.
func readState(dir string) (state, bool, error) {
	cannot := func(err error) error { return fmt.Errorf("cannot tell whether filesystems are frozen: %w", err) }
	name := filepath.Join(dir, stateName)
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return state{}, false, nil
	case errors.Is(err, unix.ELOOP):
		return foreign, true, nil
	case err != nil:
		return state{}, false, cannot(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return state{}, false, cannot(err)
	}
	if !info.Mode().IsRegular() || rootsOwn(name, info) != nil {
		return foreign, true, nil
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return state{}, false, cannot(err)
	}
	var s state
	if json.Unmarshal(text, &s) != nil || !s.valid() {
		return foreign, true, nil
	}
	return s, s.Boot == bootID(), nil
}

// valid tells whether s can be one that write wrote.
func (s state) valid() bool {
	for _, t := range s.Targets {
		if slices.ContainsFunc(t.Lands, func(j int) bool { return j < 0 || j >= len(s.Targets) }) {
			return false
		}
	}
	return slices.Contains([]State{Freezing, Frozen, Expired, Thawed}, s.Phase)
}

// bootID names this run of the kernel.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// write puts the state where a restarted agent finds it, whole or not at all.
// The file is not synced: what it speaks of ends with the kernel that runs.
// It is returned open, for amend.
func (s state) write(dir string) (*os.File, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, stateName)
	// A link in its place is not followed.
	file, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		_, err = file.Write(text)
	}
	if err == nil {
		keepLabel(path, file)
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		_ = file.Close() // nil is no file
		return nil, fmt.Errorf("cannot write the state file: %w", err)
	}
	return file, nil
}

// keepLabel gives a file the SELinux label of the one that it will replace. An
// administrator's thaw, or a package's, runs in another domain than the agent,
// whose files the agent in its own may neither read nor remove.
func keepLabel(old string, file *os.File) {
	const name = "security.selinux"
	var label, given [256]byte
	n, err := unix.Lgetxattr(old, name, label[:])
	if err != nil {
		return // there is none
	}
	if m, err := unix.Fgetxattr(int(file.Fd()), name, given[:]); err == nil && bytes.Equal(label[:n], given[:m]) {
		return
	}
	_ = unix.Fsetxattr(int(file.Fd()), name, label[:n], 0)
}

// amend writes a state with fewer targets into a file of write's while
// filesystems are frozen: without an open, which a permission daemon might
// never allow, and only where no disk can stop it. Elsewhere the file stays
// as it is.
func (s state) amend(file *os.File) {
	var st unix.Statfs_t
	if unix.Fstatfs(int(file.Fd()), &st) != nil || st.Type != unix.TMPFS_MAGIC && st.Type != unix.RAMFS_MAGIC {
		return
	}
	info, err := file.Stat()
	if err != nil {
		return
	}
	text, err := json.Marshal(s)
	if err != nil || int64(len(text)) > info.Size() {
		return
	}
	// Blanks instead of a new length, so that it is never half of a state.
	text = append(text, bytes.Repeat([]byte{' '}, int(info.Size())-len(text))...)
	_, _ = file.WriteAt(text, 0)
}

// removeState forgets the freeze.
func removeState(dir string) error {
	err := os.Remove(filepath.Join(dir, stateName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the state file: %w", err)
	}
	return nil
}
