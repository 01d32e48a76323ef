package freezetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ioctls that a Gate judges.
const (
	FIFREEZE = 0xc0045877
	FITHAW   = 0xc0045878
)

// Gate has the kernel refuse this process, and all that it starts from now
// on, the ioctls of a freeze as long as a test wants: what a security module
// does whose policy changes. It is there until the process ends.
type Gate struct {
	listener int

	mu     sync.Mutex
	deny   map[uint32]unix.Errno
	second unix.Errno
	freeze int
}

// filter is a program for seccomp(2) that asks the listener about ioctls of a
// freeze: of struct seccomp_data it reads the call's number and the low half
// of its second argument.
func filter() []unix.SockFilter {
	const (
		load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
		number, argument    = 0, 16 + 8
	)
	return []unix.SockFilter{
		{Code: load, K: number},
		{Code: equal, K: unix.SYS_IOCTL, Jf: 3},
		{Code: load, K: argument},
		{Code: equal, K: FIFREEZE, Jt: 2},
		{Code: equal, K: FITHAW, Jt: 1},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF},
	}
}

// NewGate makes the process's Gate, which lets everything pass. There can be
// one in a process.
func NewGate() (*Gate, error) {
	program := filter()
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return nil, fmt.Errorf("cannot filter system calls: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	g := &Gate{listener: int(fd), deny: make(map[uint32]unix.Errno)}
	go g.serve()
	return g, nil
}

// Deny has an ioctl fail from now on; 0 lets it pass.
func (g *Gate) Deny(ioctl uint32, errno unix.Errno) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deny[ioctl] = errno
}

// DenySecond lets the next FIFREEZE pass and has every one after it, and every
// FITHAW, fail.
func (g *Gate) DenySecond(errno unix.Errno) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deny[FITHAW], g.second, g.freeze = errno, errno, 0
}

// The structures and ioctls of linux/seccomp.h for listeners.
type (
	notification struct {
		id    uint64
		pid   uint32
		flags uint32
		nr    int32
		arch  uint32
		ip    uint64
		args  [6]uint64
	}
	verdict struct {
		id    uint64
		value int64
		error int32
		flags uint32
	}
)

const (
	receive = 0xc0502100
	send    = 0xc0182101
	pass    = 1
)

func (g *Gate) serve() {
	for {
		var n notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(g.listener), receive, uintptr(unsafe.Pointer(&n))); errno != 0 {
			if errors.Is(errno, unix.EINTR) || errors.Is(errno, unix.ENOENT) {
				continue
			}
			return
		}
		v := verdict{id: n.id, flags: pass}
		if errno := g.judge(uint32(n.args[1])); errno != 0 {
			v.flags, v.error = 0, -int32(errno)
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(g.listener), send, uintptr(unsafe.Pointer(&v)))
	}
}

func (g *Gate) judge(ioctl uint32) unix.Errno {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ioctl == FIFREEZE && g.second != 0 {
		if g.freeze++; g.freeze == 1 {
			return 0
		}
		g.deny[FIFREEZE], g.second = g.second, 0
	}
	return g.deny[ioctl]
}
