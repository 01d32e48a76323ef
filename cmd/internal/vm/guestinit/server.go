package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"qemu-ga/cmd/internal/vm/control"
)

// server carries out the host's calls, each in a goroutine of its own: one
// that blocks on a frozen filesystem holds up no other.
type server struct {
	methods map[string]func(json.RawMessage) (any, error)

	mu  sync.Mutex // one reply at a time
	out io.Writer
}

func newServer() *server {
	processes := &processes{byName: map[string]*process{}}
	writers := &writers{byName: map[string]*writer{}}
	strangers := &strangers{}
	return &server{methods: map[string]func(json.RawMessage) (any, error){
		control.MethodRun:         method(processes.run),
		control.MethodStart:       method(processes.start),
		control.MethodSignal:      method(processes.signal),
		control.MethodWait:        method(processes.wait),
		control.MethodDisk:        method(findDisk),
		control.MethodAccepts:     method(accepts),
		control.MethodWriterStart: method(writers.start),
		control.MethodWriterStats: method(writers.stats),
		control.MethodWriterStop:  method(writers.stop),
		control.MethodVsock:       method(strangers.call),

		control.MethodVsockRelease: method(strangers.release),
		control.MethodPut:          method(put),
		control.MethodGet:          method(get),
	}}
}

// method gives a function of any arguments and result the server's form.
func method[Args, Result any](f func(Args) (Result, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var args Args
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, err
		}
		return f(args)
	}
}

// serve reads calls until the port is gone for good.
func (s *server) serve(path string) error {
	port, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = port.Close() }()
	s.out = port
	// A greeting, so that the host knows when the guest is up.
	s.reply(control.Response{})
	lines := bufio.NewReader(port)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			// The host's side is not open yet. There is nothing to wait on
			// that would not report the end of file again at once.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err != nil {
			return err
		}
		var request control.Request
		if err := json.Unmarshal(line, &request); err != nil {
			return err
		}
		go s.call(request)
	}
}

func (s *server) call(request control.Request) {
	response := control.Response{ID: request.ID}
	f, ok := s.methods[request.Method]
	if !ok {
		response.Error = fmt.Sprintf("unknown method %q", request.Method)
		s.reply(response)
		return
	}
	result, err := f(request.Args)
	if err == nil {
		response.Result, err = json.Marshal(result)
	}
	if err != nil {
		response.Error = err.Error()
	}
	s.reply(response)
}

func (s *server) reply(response control.Response) {
	line, err := json.Marshal(response)
	if err != nil {
		line = fmt.Appendf(nil, `{"ID":%d,"Error":"cannot encode the reply"}`, response.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.out.Write(append(line, '\n'))
}
