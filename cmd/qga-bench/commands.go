package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"time"
)

// interfaces is how many network interfaces the agents find, besides the
// loopback one.
const interfaces = 500

// measureCommands times commands and transfers, in turns.
func measureCommands(short bool) ([]table, error) {
	scale := 10
	if short {
		scale = 1
	}
	agents, err := startBoth()
	if err != nil {
		return nil, err
	}
	latency := table{title: "Commands", note: "Median time of one command, from request to reply, and commands a second when the host does not wait for replies. Each round asks one agent, then the other."}
	for _, c := range []struct {
		command string
		times   int // in one round
		target  float64
	}{
		{"guest-ping", 200, 1.0},
		{"guest-get-osinfo", 50, 0},
		{"guest-get-fsinfo", 50, 0},
	} {
		p, err := timeCommand(agents, c.command, c.command, c.times, 5+scale)
		if err != nil {
			return nil, err
		}
		p.target = c.target
		latency.rows = append(latency.rows, p)
	}
	if err := addInterfaces(interfaces); err != nil {
		return nil, err
	}
	p, err := timeCommand(agents, "guest-network-get-interfaces", fmt.Sprintf("guest-network-get-interfaces, %d interfaces", interfaces), 1, 3+scale)
	if err != nil {
		return nil, err
	}
	p.target = 0.2
	latency.rows = append(latency.rows, p)
	moves := table{title: "Transfers and programs", note: "Files on a tmpfs, so that the agents and not a disk are measured."}
	for _, f := range []func([both]*agent, int) (*pairs, error){pipelined} {
		p, err := f(agents, scale)
		if err != nil {
			return nil, err
		}
		latency.rows = append(latency.rows, p)
	}
	for _, f := range []func([both]*agent, int) (*pairs, error){fileRead, fileWrite, execTrue, execInput} {
		p, err := f(agents, scale)
		if err != nil {
			return nil, err
		}
		moves.rows = append(moves.rows, p)
	}
	for _, a := range agents {
		if err := a.stop(); err != nil {
			return nil, err
		}
	}
	for _, t := range []table{latency, moves} {
		for _, p := range t.rows {
			say("%-50s %10s %10s %s  ratio %s  %s", p.name, number(median(p.values[ours])), number(median(p.values[theirs])), p.unit, spread(p.ratios()), p.verdict())
		}
	}
	return []table{latency, moves}, nil
}

// rounds calls f for one agent after the other, and does so again.
func rounds(agents [both]*agent, p *pairs, count int, f func(a *agent) (float64, error)) (*pairs, error) {
	for round := range count + 1 {
		for turn := range agents {
			which := (turn + round) % both
			if err := agents[which].bound(); err != nil {
				return nil, err
			}
			value, err := f(agents[which])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			if round > 0 { // the first is for everybody to warm up
				p.add(which, value)
			}
		}
	}
	return p, nil
}

// timeCommand gives the median time of a command in microseconds.
func timeCommand(agents [both]*agent, command, name string, times, count int) (*pairs, error) {
	r := request(command, nil)
	return rounds(agents, &pairs{name: name, unit: "µs"}, count, func(a *agent) (float64, error) {
		var took []float64
		for range times {
			begun := time.Now()
			line, err := a.exchange(r)
			took = append(took, float64(time.Since(begun))/float64(time.Microsecond))
			if err == nil {
				err = parse(line, nil)
			}
			if err != nil {
				return 0, err
			}
		}
		return median(took), nil
	})
}

// pipelined gives pings a second when they are sent without waiting.
func pipelined(agents [both]*agent, scale int) (*pairs, error) {
	const pings = 20000
	r := request("guest-ping", nil)
	var all []byte
	for range pings {
		all = append(all, r...)
	}
	p := &pairs{name: "guest-ping, not waiting for replies", unit: "per s", more: true, target: 1}
	return rounds(agents, p, 3+scale, func(a *agent) (float64, error) {
		begun := time.Now()
		sent := make(chan error, 1)
		go func() {
			_, err := a.conn.Write(all)
			sent <- err
		}()
		for range pings {
			if _, err := a.line(); err != nil {
				return 0, err
			}
		}
		return pings / time.Since(begun).Seconds(), <-sent
	})
}

// fileSize is how much is read and written, piece how much with one command.
const (
	fileSize = 32 << 20
	piece    = 1 << 20
)

// open gives the handle of a file that an agent has opened.
func open(a *agent, path, mode string) (handle int64, err error) {
	return handle, a.call(&handle, "guest-file-open", map[string]string{"path": path, "mode": mode})
}

func closeFile(a *agent, handle int64) error {
	return a.call(nil, "guest-file-close", map[string]int64{"handle": handle})
}

// fileRead gives MiB a second.
func fileRead(agents [both]*agent, scale int) (*pairs, error) {
	const path = "/tmp/large"
	if err := os.WriteFile(path, pattern(fileSize), 0o600); err != nil {
		return nil, err
	}
	p := &pairs{name: "guest-file-read, 1 MiB each", unit: "MiB/s", more: true, target: 2}
	return rounds(agents, p, 3+scale, func(a *agent) (float64, error) {
		handle, err := open(a, path, "r")
		if err != nil {
			return 0, err
		}
		r := request("guest-file-read", map[string]int64{"handle": handle, "count": piece})
		begun := time.Now()
		for range fileSize / piece {
			line, err := a.exchange(r)
			if err != nil {
				return 0, err
			}
			if len(line) < piece {
				return 0, fmt.Errorf("the answer is %s", line)
			}
		}
		speed := fileSize / (1 << 20) / time.Since(begun).Seconds()
		return speed, closeFile(a, handle)
	})
}

// fileWrite gives MiB a second.
func fileWrite(agents [both]*agent, scale int) (*pairs, error) {
	p := &pairs{name: "guest-file-write, 1 MiB each", unit: "MiB/s", more: true, target: 1}
	text := base64.StdEncoding.EncodeToString(pattern(piece))
	return rounds(agents, p, 3+scale, func(a *agent) (float64, error) {
		handle, err := open(a, "/tmp/written", "w")
		if err != nil {
			return 0, err
		}
		r := request("guest-file-write", struct {
			Handle int64  `json:"handle"`
			Data   string `json:"buf-b64"`
		}{handle, text})
		begun := time.Now()
		for range fileSize / piece / 2 {
			line, err := a.exchange(r)
			if err == nil {
				err = parse(line, nil)
			}
			if err != nil {
				return 0, err
			}
		}
		speed := fileSize / 2 / (1 << 20) / time.Since(begun).Seconds()
		return speed, closeFile(a, handle)
	})
}

// pattern is data in which no part is like the next.
func pattern(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return data
}
