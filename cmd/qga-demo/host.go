package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"text/tabwriter"
	"time"

	"qemu-ga/freeze"
)

// host is the other end of the agent's channel.
type host struct {
	conn net.Conn
	in   *bufio.Reader
}

func connect() (*host, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	return &host{conn: conn, in: bufio.NewReader(conn)}, nil
}

// ask sends one command and prints both sides of the conversation.
func (h *host) ask(command string) (json.RawMessage, error) {
	ret, err := h.call(command)
	answer := string(ret)
	if err != nil {
		answer = "error: " + err.Error()
	}
	say("  %-24s -> %s", command, answer)
	return ret, err
}

func (h *host) call(command string) (json.RawMessage, error) {
	if err := h.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	request := `{"execute": "` + command + `"}`
	if command == "guest-sync" {
		request = `{"execute": "guest-sync", "arguments": {"id": 20261121}}`
	}
	if _, err := fmt.Fprintln(h.conn, request); err != nil {
		return nil, err
	}
	line, err := h.in.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var reply struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Desc string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal(line, &reply); err != nil {
		return nil, err
	}
	if reply.Error != nil {
		return nil, errors.New(reply.Error.Desc)
	}
	return reply.Return, nil
}

// seen is what came of a snapshot: the agent's own report, and what the
// writers noticed.
type seen struct {
	freeze.Report
	stalls []time.Duration
}

// snapshot does what a host does.
func (h *host) snapshot(writers []*writer) (seen, error) {
	for _, command := range []string{"guest-sync", "guest-fsfreeze-status"} {
		if _, err := h.ask(command); err != nil {
			return seen{}, err
		}
	}
	for _, w := range writers {
		w.forget()
	}
	if _, err := h.ask("guest-fsfreeze-freeze"); err != nil {
		return seen{}, err
	}
	if _, err := h.ask("guest-fsfreeze-status"); err != nil {
		return seen{}, err
	}
	before := counts(writers)
	time.Sleep(hold)
	for i, n := range counts(writers) {
		// One write may have been on its way when its filesystem froze.
		if n > before[i]+1 {
			return seen{}, fmt.Errorf("%s took writes while it was frozen", writers[i].dir)
		}
	}
	if _, err := h.ask("guest-fsfreeze-thaw"); err != nil {
		return seen{}, err
	}
	before = counts(writers)
	if err := wait(func() bool { return allGrown(writers, before) }); err != nil {
		return seen{}, errors.New("not every writer goes on after the thaw")
	}
	text, err := h.call("x-fsfreeze-report")
	if err != nil {
		return seen{}, err
	}
	var s seen
	if err := json.Unmarshal(text, &s.Report); err != nil {
		return seen{}, err
	}
	for _, w := range writers {
		s.stalls = append(s.stalls, w.worst())
	}
	return s, nil
}

// print shows what happened to each filesystem.
func (s seen) print(writers []*writer) error {
	say("\nWhat the agent reports (x-fsfreeze-report), and what each writer noticed:")
	byPoint := map[string]freeze.FilesystemReport{}
	for _, f := range s.Filesystems {
		byPoint[f.Mountpoint] = f
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\tfilesystem\ttype\tlevel\tFIFREEZE took\twriter stalled\t") // its error is Flush's
	for i, w := range writers {
		f := byPoint[w.dir]
		_, _ = fmt.Fprintf(table, "\t%s\t%s\t%d\t%.2f ms\t%.1f ms\t\n", w.dir, f.Type, f.Level, ms(time.Duration(f.Took)), ms(s.stalls[i]))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	say("  pre-sync %.1f ms while the writers ran on; first FIFREEZE to last %.2f ms; held %.1f ms; thaw %.2f ms",
		ms(time.Duration(s.Times.Presync)), ms(time.Duration(s.Times.Window)),
		ms(time.Duration(s.Times.Held)), ms(time.Duration(s.Times.Thaw)))
	return nil
}
