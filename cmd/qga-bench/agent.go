package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// The two that are measured.
const (
	ours = iota
	theirs
	both
)

const (
	// limit bounds whatever is waited for.
	limit = 2 * time.Minute
	// stopLimit bounds the wait for an agent that was told to stop.
	stopLimit = 3 * time.Second
)

// agent is an agent's process and a host's connection to it.
type agent struct {
	dir  string
	cmd  *exec.Cmd
	conn net.Conn
	in   *bufio.Reader
}

// startAgent starts an agent and connects to it.
func startAgent(which int) (*agent, error) {
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		return nil, err
	}
	a := &agent{dir: dir}
	program := [both]string{ownProgram, referenceProgram}[which]
	a.cmd = exec.Command(program, "-m", "unix-listen", "-p", a.socket(), "-t", dir)
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		if err = a.connect(); err == nil {
			return a, nil
		}
		if time.Now().After(end) {
			return nil, errors.Join(err, a.stop())
		}
	}
}

// startBoth starts one of each.
func startBoth() (agents [both]*agent, err error) {
	for which := range agents {
		if agents[which], err = startAgent(which); err != nil {
			return agents, err
		}
	}
	return agents, nil
}

func (a *agent) socket() string { return filepath.Join(a.dir, "socket") }

func (a *agent) connect() error {
	conn, err := net.Dial("unix", a.socket())
	if err != nil {
		return err
	}
	a.conn, a.in = conn, bufio.NewReaderSize(conn, 1<<20)
	return nil
}

// stop ends the agent. The real one now and then does not hear a SIGTERM.
func (a *agent) stop() error {
	if a.conn != nil {
		_ = a.conn.Close()
	}
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	killer := time.AfterFunc(stopLimit, func() { _ = a.cmd.Process.Kill() })
	_ = a.cmd.Wait()
	killer.Stop()
	return os.RemoveAll(a.dir)
}

// bound has an agent that does not answer fail what is measured, some time.
func (a *agent) bound() error { return a.conn.SetDeadline(time.Now().Add(limit)) }

// request is a command as it goes over the wire.
func request(command string, arguments any) []byte {
	r := struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // all of them are written in this program
	}
	return append(text, '\n')
}

// exchange sends a request and waits for the line that answers it, which is
// good until the next one. Nothing else happens, as it is being timed.
func (a *agent) exchange(request []byte) ([]byte, error) {
	if _, err := a.conn.Write(request); err != nil {
		return nil, err
	}
	return a.line()
}

// line reads one answer.
func (a *agent) line() ([]byte, error) {
	line, err := a.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line = append([]byte(nil), line...)
		var rest []byte
		rest, err = a.in.ReadBytes('\n')
		line = append(line, rest...)
	}
	return line, err
}

// call is exchange with its answer understood; into may be nil.
func (a *agent) call(into any, command string, arguments any) error {
	line, err := a.exchange(request(command, arguments))
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return parse(line, into)
}

// parse takes an answer apart.
func parse(line []byte, into any) error {
	var reply struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Desc string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal(line, &reply); err != nil {
		return err
	}
	if reply.Error != nil {
		return errors.New(reply.Error.Desc)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(reply.Return, into)
}
