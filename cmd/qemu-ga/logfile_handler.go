package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"qemu-ga/agent"
)

// The levels of qemu-ga's log, which are GLib's, as levels of slog.
const (
	levelDebug    = slog.LevelDebug
	levelInfo     = slog.LevelInfo
	levelMessage  = slog.Level(2)
	levelWarning  = slog.LevelWarn
	levelCritical = slog.LevelError
	levelError    = slog.Level(12) // the agent ends
)

// levels are the names of the levels and their syslog priorities (syslog(3)).
var levels = []struct {
	from     slog.Level
	name     string
	priority int
}{
	{levelError, "error", 3},
	{levelCritical, "critical", 3},
	{levelWarning, "warning", 4},
	{levelMessage, "message", 5},
	{levelInfo, "info", 6},
	{levelDebug, "debug", 7},
}

// format makes a line of the log. For a file it is
//
//	1795298610.673258: critical: cannot do this
//
// as in qemu-ga; the journal is given the level its own way (sd-daemon(3)) and
// knows the time.
func (l *logFile) format(t time.Time, level slog.Level, text string) string {
	at := levels[len(levels)-1]
	for _, one := range levels {
		if level >= one.from {
			at = one
			break
		}
	}
	if l.journal {
		return fmt.Sprintf("<%d>%s", at.priority, text)
	}
	return fmt.Sprintf("%d.%06d: %s: %s", t.Unix(), t.Nanosecond()/1000, at.name, text)
}

// logger returns a logger that writes to l what went wrong and what a host had
// the guest do, or everything. qemu-ga sends the latter to syslog in either
// case; under systemd both end in the journal.
func (l *logFile) logger(verbose bool) *slog.Logger {
	h := &logHandler{to: l, least: agent.LevelAudit}
	if verbose {
		h.least = levelDebug
	}
	return slog.New(h)
}

// logHandler is the slog.Handler of a logFile. Attributes follow the message
// as key=value.
type logHandler struct {
	to     *logFile
	least  slog.Level
	prefix string // of attribute names: the groups
	attrs  string // those of WithAttrs, written out
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.least }

// Handle implements slog.Handler. It never blocks.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, h.prefix, a)
		return true
	})
	h.to.add(h.to.format(r.Time, r.Level, b.String()))
	return nil
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		writeAttr(&b, h.prefix, a)
	}
	with := *h
	with.attrs += b.String()
	return &with
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	with := *h
	if name != "" {
		with.prefix += name + "."
	}
	return &with
}

func writeAttr(b *strings.Builder, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			writeAttr(b, prefix, member)
		}
		return
	}
	if !a.Equal(slog.Attr{}) {
		fmt.Fprintf(b, " %s%s=%s", prefix, a.Key, v.String())
	}
}
