package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"qemu-ga/freeze"
)

// LevelAudit is the level at which the log tells what a host had the guest
// do: above what is only of use when looking for a fault.
const LevelAudit = freeze.LevelAudit

const (
	// maxAudited bounds how much of a command line the log repeats.
	maxAudited = 1024
	// maxOutcome bounds how much of an error it repeats.
	maxOutcome = 256
)

// auditLine is what the log tells of one command of a host: what was to be
// done, in qemu-ga's words where it has such a line, and what came of it. It
// never holds what a host may want to be kept secret: passwords, keys, the
// data of files and programs, values of environment variables.
type auditLine struct {
	text, outcome string
	announced     bool
}

type auditKey struct{}

// audited calls a privileged command's handler and has the log tell of it, in
// one line after its end.
func audited[R any](a *Agent, ctx context.Context, name string, call func(context.Context) (R, error)) (R, error) {
	line := &auditLine{}
	ret, err := call(context.WithValue(ctx, auditKey{}, line))
	a.tell(ctx, name, line, err)
	return ret, err
}

// audit says what the command is to do.
func (a *Agent) audit(ctx context.Context, text string) {
	if line, ok := ctx.Value(auditKey{}).(*auditLine); ok {
		line.text = text
	}
}

// announce says it, too, and has the log tell at once: of a command after
// which the guest may not be there any more, or whose filesystems keep the
// log from being written. What came of it then has a line of its own.
func (a *Agent) announce(ctx context.Context, text string) {
	a.audit(ctx, text)
	if line, ok := ctx.Value(auditKey{}).(*auditLine); ok {
		line.announced = true
	}
	a.log.Log(ctx, LevelAudit, text)
}

// outcome says what came of the command, if that is more than success.
func (a *Agent) outcome(ctx context.Context, format string, args ...any) {
	if line, ok := ctx.Value(auditKey{}).(*auditLine); ok {
		line.outcome = fmt.Sprintf(format, args...)
	}
}

// tell writes a command's line.
func (a *Agent) tell(ctx context.Context, name string, line *auditLine, err error) {
	if !a.log.Enabled(ctx, LevelAudit) || line.text == "" {
		return
	}
	text, outcome := line.text, "result: success"
	switch {
	case err != nil:
		outcome = "failed: " + strings.TrimSpace(clipped(loggable(err), maxOutcome))
	case line.outcome != "":
		outcome = "result: " + line.outcome
	}
	if line.announced {
		text = name
	}
	a.log.LogAttrs(ctx, LevelAudit, text+", "+outcome, slog.String("peer", peerOf(ctx)))
}

// tellRefused writes the line of a privileged command that was not even begun.
func (a *Agent) tellRefused(ctx context.Context, name string, err error) {
	a.tell(ctx, name, &auditLine{text: name}, err)
}

// hushed is an error whose words may repeat a secret.
type hushed struct {
	error
	logged string // what the log tells instead
}

func (h hushed) Unwrap() error { return h.error }

// loggable words an error for the log.
func loggable(err error) string {
	if h := (hushed{}); errors.As(err, &h) {
		return h.logged
	}
	return err.Error()
}

// clipped shortens a text to n bytes.
func clipped(text string, n int) string {
	if len(text) > n {
		return strings.ToValidUTF8(text[:n], "") + "…"
	}
	return text
}
