package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// restTime is how long an agent is left alone before it is looked at: it may
// tidy up meanwhile. watchTime is how long its wake-ups are counted.
const (
	restTime  = 4 * time.Second
	watchTime = 10 * time.Second
)

// chat is what a host asks all day; 250 times it are 1,000 commands.
var chat = []string{"guest-ping", "guest-get-osinfo", "guest-get-fsinfo", "guest-network-get-interfaces"}

// measureFootprint looks at what agents cost that do nothing.
func measureFootprint(short bool) (table, error) {
	const target = 0.8
	rows := map[string]*pairs{}
	t := table{title: "Footprint", note: fmt.Sprintf("Looked at %v after the last command. Wake-ups are the times that any thread slept and was run again in %v.", restTime, watchTime)}
	for _, p := range []*pairs{
		{name: "resident, never asked", unit: "KiB", target: target},
		{name: "resident, after 1,000 commands", unit: "KiB", target: target},
		{name: "anonymous, never asked", unit: "KiB"},
		{name: "anonymous, after 1,000 commands", unit: "KiB"},
		{name: "wake-ups, no host connected", unit: ""},
		{name: "wake-ups, a silent host connected", unit: ""},
	} {
		rows[p.name] = p
		t.rows = append(t.rows, p)
	}
	times := 2
	if short {
		times = 1
	}
	for range times {
		agents, err := startBoth()
		if err != nil {
			return t, err
		}
		for _, a := range agents {
			if err := a.conn.Close(); err != nil {
				return t, err
			}
		}
		time.Sleep(restTime)
		if err := look(agents, rows, "never asked", "no host connected"); err != nil {
			return t, err
		}
		for _, a := range agents {
			if err := a.connect(); err != nil {
				return t, err
			}
			for range 250 {
				for _, command := range chat {
					if err := a.call(nil, command, nil); err != nil {
						return t, err
					}
				}
			}
		}
		time.Sleep(restTime)
		if err := look(agents, rows, "after 1,000 commands", "a silent host connected"); err != nil {
			return t, err
		}
		for _, a := range agents {
			if err := a.stop(); err != nil {
				return t, err
			}
		}
	}
	for _, p := range t.rows {
		say("%-50s %10s %10s %s  ratio %s  %s", p.name, number(median(p.values[ours])), number(median(p.values[theirs])), p.unit, spread(p.ratios()), p.verdict())
	}
	return t, nil
}

// look takes down the memory and the wake-ups of both.
func look(agents [both]*agent, rows map[string]*pairs, when, how string) error {
	var before [both]float64
	for which, a := range agents {
		rss, anonymous, err := memory(a.cmd.Process.Pid)
		if err != nil {
			return err
		}
		rows["resident, "+when].add(which, rss)
		rows["anonymous, "+when].add(which, anonymous)
		before[which] = switches(a.cmd.Process.Pid)
	}
	time.Sleep(watchTime)
	for which, a := range agents {
		rows["wake-ups, "+how].add(which, switches(a.cmd.Process.Pid)-before[which])
	}
	return nil
}

// memory gives a process's resident and anonymous KiB.
func memory(pid int) (rss, anonymous float64, err error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	if rss, err = field(path, "VmRSS:"); err == nil {
		anonymous, err = field(path, "RssAnon:")
	}
	return rss, anonymous, err
}

// switches is how often a process's threads have gone to sleep.
func switches(pid int) float64 {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	var all float64
	for _, file := range files {
		n, _ := field(file, "voluntary_ctxt_switches:") // a thread may have ended
		all += n
	}
	return all
}

// field reads a number of a status file, whose lines are
//
//	VmRSS:	    4328 kB
func field(path, name string) (float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == name {
			return strconv.ParseFloat(fields[1], 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}
