package vm

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"qemu-ga/cmd/internal/vm/control"
)

// errGone is the answer to a call to a guest that has ended.
var errGone = errors.New("the guest is gone")

// rebooted is the answer to a call that the guest's reboot cut off.
const rebooted = "the guest has rebooted"

// caller is the host's end of the control port.
type caller struct {
	conn net.Conn
	up   chan struct{} // has one element for each greeting of the guest
	gone chan struct{} // closed when the port is

	mu      sync.Mutex
	last    int
	waiting map[int]chan control.Response
}

func newCaller(conn net.Conn) *caller {
	c := &caller{
		conn: conn, up: make(chan struct{}, 64), gone: make(chan struct{}),
		waiting: map[int]chan control.Response{},
	}
	go c.read()
	return c
}

func (c *caller) close() {
	_ = c.conn.Close()
	<-c.gone
}

// greeted waits until the guest is up, each time that it boots.
func (c *caller) greeted(limit time.Duration) error {
	select {
	case <-c.up:
		return nil
	case <-c.gone:
		return errGone
	case <-time.After(limit):
		return fmt.Errorf("no word from its init in %v", limit)
	}
}

func (c *caller) read() {
	defer close(c.gone)
	lines := bufio.NewReader(c.conn)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var response control.Response
		if err := json.Unmarshal(line, &response); err != nil {
			return
		}
		if response.ID == 0 {
			c.forget()
			c.up <- struct{}{}
			continue
		}
		c.mu.Lock()
		answer := c.waiting[response.ID]
		delete(c.waiting, response.ID)
		c.mu.Unlock()
		if answer != nil {
			answer <- response
		}
	}
}

// forget ends the calls that a guest which has booted anew knows nothing of.
func (c *caller) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, answer := range c.waiting {
		delete(c.waiting, id)
		answer <- control.Response{ID: id, Error: rebooted}
	}
}

// call makes one call. The limit is for the whole of it.
func (c *caller) call(limit time.Duration, method string, args, result any) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	answer := make(chan control.Response, 1)
	c.mu.Lock()
	c.last++
	request := control.Request{ID: c.last, Method: method, Args: raw}
	c.waiting[request.ID] = answer
	line, err := json.Marshal(request)
	if err == nil {
		_, err = c.conn.Write(append(line, '\n'))
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case response := <-answer:
		if response.Error != "" {
			return errors.New(response.Error)
		}
		return json.Unmarshal(response.Result, result)
	case <-c.gone:
		return errGone
	case <-time.After(limit):
		return fmt.Errorf("no answer in %v", limit)
	}
}
