package main

import (
	"encoding/base64"
	"errors"
	"time"
)

// execTrue gives the milliseconds from guest-exec of a program that does
// nothing to a status that says it has ended.
func execTrue(agents [both]*agent, scale int) (*pairs, error) {
	p := &pairs{name: "guest-exec of /bin/true, until its status says so", unit: "ms", target: 1}
	return rounds(agents, p, 10*scale, func(a *agent) (float64, error) {
		return execute(a, map[string]any{"path": "/bin/true", "capture-output": true})
	})
}

// execInput gives the milliseconds for 10 MiB that go into a program and come
// out of it.
func execInput(agents [both]*agent, scale int) (*pairs, error) {
	p := &pairs{name: "guest-exec of /bin/cat, 10 MiB in and out", unit: "ms", target: 1}
	input := base64.StdEncoding.EncodeToString(pattern(10 << 20))
	return rounds(agents, p, 2+scale, func(a *agent) (float64, error) {
		return execute(a, map[string]any{"path": "/bin/cat", "input-data": input, "capture-output": true})
	})
}

func execute(a *agent, arguments map[string]any) (float64, error) {
	r := request("guest-exec", arguments)
	begun := time.Now()
	line, err := a.exchange(r)
	if err != nil {
		return 0, err
	}
	var program struct{ PID int64 }
	if err := parse(line, &program); err != nil {
		return 0, err
	}
	r = request("guest-exec-status", map[string]int64{"pid": program.PID})
	for time.Since(begun) < limit {
		if line, err = a.exchange(r); err != nil {
			return 0, err
		}
		took := ms(time.Since(begun))
		var status struct{ Exited bool }
		if err := parse(line, &status); err != nil {
			return 0, err
		}
		if status.Exited {
			return took, nil
		}
	}
	return 0, errors.New("the program does not end")
}
