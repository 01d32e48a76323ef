// Command qga-demo shows the agent at its main job, safely, on any machine: a
// scratch guest of loop filesystems in a private mount namespace, a writer on
// each of them, and a host's view of a freeze and thaw over a unix socket.
//
//	qga-demo PATH-OF-QEMU-GA
//
// It prints what the host asked and was answered, and then what was frozen,
// for how long, and how long the writers stalled.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"qemu-ga/freeze/freezetest"
)

const (
	// agentPath and socket are inside the ground.
	agentPath = "/bin/qemu-ga"
	socket    = "/run/qga.sock"
	// warmUp and hold are how long the writers run before the freeze, and how
	// long the host takes for its snapshot.
	warmUp = time.Second
	hold   = 500 * time.Millisecond
	// limit bounds whatever the demonstration waits for.
	limit = 30 * time.Second
)

// guest is what is mounted in the scratch guest. The last lies on a file of
// the first: the order of freezing matters.
var guest = []freezetest.FS{
	{Type: "ext4", Dir: "/srv", Size: 512 << 20},
	{Type: "ext4", Dir: "/home"},
	{Type: "xfs", Dir: "/var/lib/db"},
	{Type: "btrfs", Dir: "/data"},
	{Type: "ext4", Dir: "/srv/inner", Image: "/srv/inner.img"},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: qga-demo PATH-OF-QEMU-GA (make demo does it all)")
		os.Exit(2)
	}
	agent, err := filepath.Abs(os.Args[1])
	if err != nil {
		fail(err)
	}
	if missing := freezetest.Missing(); missing != "" {
		fail(errors.New(missing))
	}
	os.Exit(freezetest.Main(func() int {
		if err := show(); err != nil {
			fail(err)
		}
		return 0
	}, freezetest.Config{Files: map[string]string{agent: agentPath}}))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "qga-demo:", err)
	os.Exit(1)
}

// show is the demonstration, inside the ground.
func show() error {
	say("A scratch guest: %d filesystems on loop devices, in a namespace of its own", len(guest))
	for _, f := range guest {
		if err := freezetest.Mount(f); err != nil {
			return err
		}
	}
	var writers []*writer
	for _, f := range guest {
		writers = append(writers, startWriter(f.Dir))
	}
	agent, err := startAgent()
	if err != nil {
		return err
	}
	h, err := connect()
	if err != nil {
		return err
	}
	time.Sleep(warmUp) // for the writers to have something to say

	say("\nThe host freezes, takes %v for its snapshot, and thaws", hold)
	report, err := h.snapshot(writers)
	if err != nil {
		return err
	}
	if err := report.print(writers); err != nil {
		return err
	}
	if err := kill(agent, h, writers); err != nil {
		return err
	}
	for _, w := range writers {
		if err := w.stop(); err != nil {
			return fmt.Errorf("a writer failed: %w", err)
		}
	}
	agent.stop()
	say("\nThe agent's log of its second life:\n%s", strings.TrimSpace(agent.log.String()))
	say("\nDone: everything was frozen, everything was thawed, no write failed.")
	return nil
}

// kill shows what happens when the agent dies while everything is frozen.
func kill(agent *agent, h *host, writers []*writer) error {
	say("\nThe host freezes again, and the agent is killed with SIGKILL")
	if _, err := h.ask("guest-fsfreeze-freeze"); err != nil {
		return err
	}
	before := counts(writers)
	killed := time.Now()
	if err := agent.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := wait(func() bool { return allGrown(writers, before) }); err != nil {
		return errors.New("the filesystems stayed frozen")
	}
	say("  every writer writes again %.1f ms later", ms(time.Since(killed)))
	_ = agent.cmd.Wait()
	if err := agent.start(); err != nil {
		return err
	}
	next, err := connect()
	if err != nil {
		return err
	}
	say("The agent is started again, and the host, which knows nothing, thaws")
	if _, err := next.ask("guest-fsfreeze-thaw"); err == nil {
		return errors.New("the host was not told that the freeze had ended")
	}
	return nil
}

// agent is the agent under demonstration.
type agent struct {
	cmd *exec.Cmd
	log bytes.Buffer
}

func startAgent() (*agent, error) {
	a := &agent{}
	return a, a.start()
}

func (a *agent) start() error {
	a.cmd = exec.Command(agentPath, "-m", "unix-listen", "-p", socket, "-t", "/run")
	a.cmd.Stderr = &a.log
	if err := a.cmd.Start(); err != nil {
		return err
	}
	return wait(func() bool {
		conn, err := connect()
		if err != nil {
			return false
		}
		_ = conn.conn.Close()
		return true
	})
}

func (a *agent) stop() {
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	_ = a.cmd.Wait()
}

// wait waits until done, looking often.
func wait(done func() bool) error {
	for end := time.Now().Add(limit); !done(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			return fmt.Errorf("nothing happened within %v", limit)
		}
	}
	return nil
}

func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
