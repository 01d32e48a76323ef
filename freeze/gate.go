package freeze

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// gateName is the name a program is started by to become a hook. Its arguments
// are the hook's file and then all arguments of that, the name included.
const gateName = "qemu-ga-hook"

// gateFD is the descriptor of a gate's end of the socket pair to its agent.
const gateFD = 3

// startGated starts a hook behind a gate: a process of program that becomes
// the hook, under the same number, when record has been told of it and has
// returned. An agent that is killed before has closed its end of the socket,
// and the hook never begins: the next agent could not keep it from preparing
// what has been told to go on. Pdeathsig would not do: a program that SELinux
// gives a domain of its own loses it.
//
// An error is what cmd.Start would have given, and no process is left.
func startGated(program string, cmd *exec.Cmd, record func(process)) error {
	if cmd.Err != nil {
		return cmd.Err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot make a socket to its process: %w", err)
	}
	_ = unix.SetNonblock(pair[0], true)
	mine, theirs := os.NewFile(uintptr(pair[0]), "gate"), os.NewFile(uintptr(pair[1]), "agent")
	defer func() { _ = mine.Close() }()
	cmd.Args = append([]string{gateName, cmd.Path}, cmd.Args...)
	cmd.Path, cmd.ExtraFiles = program, []*os.File{theirs}
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return err
	}
	record(findProcess(cmd.Process.Pid))
	_, _ = mine.Write([]byte{1}) // one that is gone shows below
	// The kernel closes the other end when the hook begins.
	var errno [4]byte
	if _, err := io.ReadFull(mine, errno[:]); err != nil {
		return nil
	}
	_ = cmd.Wait()
	return unix.Errno(binary.NativeEndian.Uint32(errno[:]))
}

// becomeHook is the gate. args are what startGated has put behind gateName.
func becomeHook(args []string) {
	unix.CloseOnExec(gateFD)
	agent := os.NewFile(gateFD, "agent")
	if _, err := io.ReadFull(agent, make([]byte, 1)); err != nil || len(args) < 2 {
		return // the agent is gone
	}
	err := unix.Exec(args[0], args[1:], os.Environ())
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		_ = binary.Write(agent, binary.NativeEndian, uint32(errno))
	}
}
