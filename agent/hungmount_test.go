package agent

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
	"qemu-ga/freeze/freezetest"
)

// hangingMount is a FUSE filesystem with one directory, "d", whose server
// stops answering when it is told to, as that of a dead NFS server does.
type hangingMount struct {
	dev  *os.File
	hung atomic.Bool
	held chan []byte // requests that came meanwhile
}

// mountHanging mounts it at a directory.
func mountHanging(t *testing.T, point string) *hangingMount {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,allow_other", fd, unix.S_IFDIR|0o755)
	require.NoError(t, unix.Mount("server", point, "fuse", 0, options))
	m := &hangingMount{dev: os.NewFile(uintptr(fd), "/dev/fuse"), held: make(chan []byte, 100)}
	go m.serve()
	return m
}

func (m *hangingMount) serve() {
	buf := make([]byte, 256<<10)
	for {
		n, err := m.dev.Read(buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT):
			continue
		case err != nil:
			return // unmounted
		case m.hung.Load():
			m.held <- append([]byte(nil), buf[:n]...)
		default:
			m.answer(buf[:n])
		}
	}
}

// revive answers what has waited, and what comes.
func (m *hangingMount) revive() {
	m.hung.Store(false)
	for len(m.held) > 0 {
		m.answer(<-m.held)
	}
}

// The requests of linux/fuse.h that looking for a directory needs.
const (
	fuseLookup  = 1
	fuseForget  = 2
	fuseGetattr = 3
	fuseInit    = 26
	fuseStatfs  = 17
)

func (m *hangingMount) answer(request []byte) {
	native := binary.NativeEndian
	// struct fuse_attr of a directory, at offset.
	attr := func(reply []byte, offset int, inode uint64) []byte {
		native.PutUint64(reply[offset:], inode)
		native.PutUint32(reply[offset+60:], unix.S_IFDIR|0o755) // mode
		native.PutUint32(reply[offset+64:], 2)                  // links
		return reply
	}
	var reply []byte
	errno := int32(0)
	switch native.Uint32(request[4:]) {
	case fuseForget:
		return
	case fuseInit:
		reply = make([]byte, 64)
		native.PutUint32(reply, 7)
		native.PutUint32(reply[4:], 31)
		native.PutUint32(reply[20:], 128<<10)
	case fuseLookup:
		reply = attr(make([]byte, 128), 40, 2)
		native.PutUint64(reply, 2)
	case fuseGetattr:
		reply = attr(make([]byte, 104), 16, native.Uint64(request[16:]))
	case fuseStatfs:
		reply = make([]byte, 80)
	default:
		errno = -int32(unix.ENOSYS)
	}
	out := make([]byte, 16, 16+len(reply))
	native.PutUint32(out, uint32(16+len(reply)))
	native.PutUint32(out[4:], uint32(errno))
	copy(out[8:], request[8:16])
	_, _ = m.dev.Write(append(out, reply...))
}

// TestFsInfoBesideAHungMount has a FUSE server die under a disk's mount point,
// so that the way to it hangs in the kernel: the other disks are told of, that
// one without its sizes, and the next call does not even wait.
func TestFsInfoBesideAHungMount(t *testing.T) {
	freezetest.Need(t)
	require.NoError(t, os.MkdirAll("/mnt/net", 0o755))
	m := mountHanging(t, "/mnt/net")
	t.Cleanup(func() {
		m.revive()
		require.NoError(t, unix.Unmount("/mnt/net", 0))
		_ = m.dev.Close()
	})
	mounted(t, "/mnt/net/d")
	mounted(t, "/mnt/near")
	a := New(Config{Root: "/"})
	sizes := func() (sizes map[string]*uint64, took time.Duration) {
		begun := time.Now()
		var reply struct {
			Return []struct {
				Mountpoint string
				Total      *uint64 `json:"total-bytes"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(answered(t, a, "guest-get-fsinfo", "")), &reply))
		sizes = map[string]*uint64{}
		for _, fs := range reply.Return {
			sizes[fs.Mountpoint] = fs.Total
		}
		return sizes, time.Since(begun)
	}
	got, _ := sizes()
	require.NotNil(t, got["/mnt/net/d"])
	require.NotNil(t, got["/mnt/near"])

	m.hung.Store(true)
	got, took := sizes()
	require.Contains(t, got, "/mnt/net/d")
	require.Nil(t, got["/mnt/net/d"])
	require.NotNil(t, got["/mnt/near"])
	require.Less(t, took, 10*time.Second, "statfs has a limit of 2 s")
	got, took = sizes()
	require.Nil(t, got["/mnt/net/d"])
	require.NotNil(t, got["/mnt/near"])
	require.Less(t, took, 2*time.Second, "what is stuck is not asked again")

	m.revive()
	require.Eventually(t, func() bool {
		got, _ := sizes()
		return got["/mnt/net/d"] != nil
	}, soon, 10*time.Millisecond)
}

// TestKeysBesideAHungHome has a user's home lie on a server that is dead: the
// keys of others can be changed, and who waits for that home may give up.
func TestKeysBesideAHungHome(t *testing.T) {
	freezetest.Need(t)
	root := t.TempDir()
	for _, dir := range []string{"/etc", "/net", "/home/jo"} {
		require.NoError(t, os.MkdirAll(root+dir, 0o755))
	}
	users := fmt.Sprintf("ann:x:0:0::/net/d:\njo:x:%d:%d::/home/jo:\n", os.Getuid(), os.Getgid())
	require.NoError(t, os.WriteFile(root+"/etc/passwd", []byte(users), 0o644))
	m := mountHanging(t, root+"/net")
	t.Cleanup(func() {
		m.revive()
		require.NoError(t, unix.Unmount(root+"/net", 0))
		_ = m.dev.Close()
	})
	a := New(Config{Root: guest.Root(root)})
	add := func(ctx context.Context, user string) error {
		_, err := a.sshAdd(ctx, sshAddArgs{Username: user, Keys: []string{"ssh-rsa A"}})
		return err
	}
	_, err := os.Stat(root + "/net/d")
	require.NoError(t, err)
	m.hung.Store(true)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- add(t.Context(), "ann") }()
	require.Eventually(t, func() bool { return len(m.held) > 0 }, soon, time.Millisecond, "it hangs")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { second <- add(ctx, "ann") }()
	require.NoError(t, add(t.Context(), "jo"))
	require.Equal(t, "ssh-rsa A\n", string(contents(t, root+"/home/jo/.ssh/authorized_keys")))
	cancel()
	require.ErrorIs(t, <-second, context.Canceled)
	m.revive()
	require.Error(t, <-first, "nothing can be made there")
	require.Error(t, add(t.Context(), "ann"))
}
