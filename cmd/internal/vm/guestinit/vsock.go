package main

import (
	"bufio"
	"errors"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"qemu-ga/cmd/internal/vm/control"
)

// strangers are the connections to vsock ports that are held open.
type strangers struct {
	mu   sync.Mutex
	held []*os.File
}

// call sends a line to a vsock port of this guest, its host or another guest.
func (s *strangers) call(args control.Vsock) (control.VsockReply, error) {
	conn, err := connectAs(args)
	if err != nil {
		return control.VsockReply{Error: err.Error()}, nil
	}
	if args.Hold {
		s.mu.Lock()
		s.held = append(s.held, conn)
		s.mu.Unlock()
	} else {
		defer func() { _ = conn.Close() }()
	}
	limit := time.Duration(args.TimeoutMS) * time.Millisecond
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return control.VsockReply{}, err
	}
	if args.Send == "" {
		return control.VsockReply{}, nil
	}
	if _, err := conn.WriteString(args.Send + "\n"); err != nil {
		return control.VsockReply{Error: err.Error()}, nil
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return control.VsockReply{Line: line, Error: err.Error()}, nil
	}
	return control.VsockReply{Line: line}, nil
}

// release closes what is held.
func (s *strangers) release(struct{}) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.held)
	for _, conn := range s.held {
		_ = conn.Close()
	}
	s.held = nil
	return n, nil
}

// connectAs connects as a user: in a thread of its own, which ends with it.
func connectAs(args control.Vsock) (conn *os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		uid := uintptr(args.UID)
		// Not that of package syscall, which is for all threads.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			err = os.NewSyscallError("setresuid", errno)
			return
		}
		conn, err = connect(args)
	}()
	<-done
	return conn, err
}

func connect(args control.Vsock) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// The kernel's own limit of two seconds is short for a busy machine.
	limit := unix.NsecToTimeval(int64(time.Duration(args.TimeoutMS) * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit); err != nil {
		return nil, errors.Join(os.NewSyscallError("setsockopt", err), unix.Close(fd))
	}
	if args.From != 0 {
		if err := unix.Bind(fd, &unix.SockaddrVM{CID: args.From, Port: unix.VMADDR_PORT_ANY}); err != nil {
			return nil, errors.Join(os.NewSyscallError("bind", err), unix.Close(fd))
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrVM{CID: args.CID, Port: args.Port}); err != nil {
		return nil, errors.Join(os.NewSyscallError("connect", err), unix.Close(fd))
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for deadlines
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "vsock"), nil
}
