package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifyLimit bounds a word to the service manager: while filesystems are
// frozen it may be stuck itself, and the agent must not wait for it.
const notifyLimit = time.Second

// notifier tells the service manager how the agent is, as sd_notify(3) has
// it. The zero value has nobody to tell. The library for it (go-systemd) is
// not used because its writes have no time limit, and because it needs the
// variables to stay in the environment, which hooks and guest-exec inherit.
type notifier struct {
	socket string        // NOTIFY_SOCKET; "" is no service manager
	period time.Duration // how often it wants to hear of us; 0 is never
}

// takeNotifier reads what the service manager passed in the environment, and
// removes it: it is meant for this process and none of its children.
func takeNotifier() notifier {
	n := notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	pid := os.Getenv("WATCHDOG_PID")
	if pid == "" || pid == strconv.Itoa(os.Getpid()) {
		usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
		if err == nil && usec > 0 && n.socket != "" {
			// Twice in the time allowed, as sd_watchdog_enabled(3) advises.
			n.period = time.Duration(usec) * time.Microsecond / 2
		}
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"} {
		_ = os.Unsetenv(name)
	}
	return n
}

// tell sends assignments such as "READY=1" to the service manager.
func (n notifier) tell(words ...string) error {
	if n.socket == "" {
		return nil
	}
	// An "@" in front, for an abstract socket, means the same to package net.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err == nil {
		defer func() { _ = conn.Close() }()
		_ = conn.SetWriteDeadline(time.Now().Add(notifyLimit))
		_, err = conn.Write([]byte(strings.Join(words, "\n")))
	}
	if err != nil {
		return fmt.Errorf("cannot tell the service manager %s: %w", words[0], err)
	}
	return nil
}
