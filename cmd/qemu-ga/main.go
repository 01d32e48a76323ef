// Command qemu-ga is the guest agent of QEMU's virtual machines: it serves
// the host over a channel, and above all freezes and thaws the guest's
// filesystems for snapshots. Its command line, configuration file and
// protocol are those of QEMU's own qemu-ga.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qemu-ga/agent"
	"qemu-ga/agent/channel"
	"qemu-ga/freeze"
	"qemu-ga/selinux"
)

// version is that of the qemu-ga whose protocol and command line this is.
const version = "11.1.0"

const (
	// gcPercent keeps the heap small: the agent is idle nearly always, and
	// runs in every guest.
	gcPercent = 20
	// recoverPeriod is how often a thaw after a restart is tried again.
	recoverPeriod = time.Second
	// stopLimit bounds the thaw when the agent is told to stop. The freezer
	// thaws all the same when the agent is gone.
	stopLimit = 20 * time.Second
)

func main() {
	freeze.Init()
	debug.SetGCPercent(gcPercent)
	// One command at a time is what an agent serves. With more processors
	// Go's scheduler wakes threads to look for work in them: half as much
	// again for a ping, and for the way from a freeze to its thaw.
	runtime.GOMAXPROCS(1)
	// Caught and not ignored: what is ignored stays so in the programs that
	// the agent starts.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// What the agent was itself started with is not for them either.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	os.Exit(run(os.Args, os.Getenv, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(argv []string, getenv func(string) string, stdout, stderr io.Writer) int {
	report := isDaemon()
	err := start(argv, getenv, stdout, stderr, report)
	if err == nil {
		return 0
	}
	switch _, quiet := err.(notReady); { //nolint:errorlint // never wrapped
	case quiet:
	case report != nil:
		report.failed(err) // the starter prints it
	default:
		_, _ = fmt.Fprintf(stderr, "qemu-ga: %v\n", err)
	}
	return 1
}

// start does what the command line asks for.
func start(argv []string, getenv func(string) string, stdout, stderr io.Writer, report *daemonReport) error {
	activated, err := channel.Activation(getenv, os.Getpid())
	if err != nil {
		return err
	}
	o, err := parseOptions(argv[1:], getenv, activated)
	if err != nil {
		return err
	}
	if o.mode == dumpConfig { // the daemon logs them
		for _, warning := range o.warnings {
			_, _ = fmt.Fprintf(stderr, "qemu-ga: %s\n", warning)
		}
	}
	if done, err := inform(stdout, o, version, agent.Commands()); done {
		return err
	}
	manager := takeNotifier()
	if o.daemonize && manager.socket != "" {
		// A setting for an init script would look like the service's end.
		o.daemonize = false
		o.warnings = append(o.warnings, "daemon mode is ignored: a service manager started this process and waits for it")
	}
	switch {
	case o.mode == checkFreeze:
		return check(o, stdout)
	case o.mode == thawNow:
		return thaw(o, stdout)
	case o.mode == printPolicy:
		return showPolicy(o, stdout)
	case o.daemonize && report == nil:
		return startDaemon(argv)
	default:
		return serve(o, getenv, report, manager)
	}
}

// serve is the daemon: it serves hosts until SIGTERM or SIGINT.
func serve(o options, getenv func(string) string, report *daemonReport, manager notifier) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log, err := openLog(o.logFile, o.daemonize, getenv)
	if err != nil {
		return err
	}
	defer log.Close()
	logger := log.logger(o.verbose)
	for _, warning := range append(o.warnings, o.policyWarnings()...) {
		logger.Warn(warning)
	}
	if o.daemonize { // and so in another directory soon
		if o.stateDir, err = filepath.Abs(o.stateDir); err != nil {
			return fmt.Errorf("cannot find the state directory: %w", err)
		}
	}
	// Removed last of all: whoever waits for it then finds nothing frozen, and
	// the channel free.
	var pid *pidFile
	defer func() {
		if pid != nil {
			pid.remove()
		}
	}()
	engine := freeze.New(freezeConfig(o, log, logger))
	restored := restore(ctx, engine, logger)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		if err := engine.Close(ctx); err != nil {
			logger.Error("cannot thaw before the end: " + err.Error())
		}
	}()
	listener, err := openChannel(ctx, o, logger)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return agent.Advise("/", selinux.NeedChannel, err)
	}
	defer func() { _ = listener.Close() }()
	if o.daemonize {
		if pid, err = writePIDFile(o.pidFile); err != nil {
			return err
		}
		if err := report.ready(); err != nil {
			return err
		}
	}
	tell := func(word string) {
		if err := manager.tell(word); err != nil {
			logger.Warn(err.Error())
		}
	}
	tell("READY=1")
	rest := newResting()
	rest.letGo()
	a := agent.New(agent.Config{
		Version: version, Root: "/", Freeze: engine, StateDir: o.stateDir,
		Profiles: o.profiles, Allow: o.allow, Block: o.block, Idle: rest.giveBack, Log: logger,
		Alive: func() { tell("WATCHDOG=1") }, AliveEvery: manager.period,
		Programs: o.policy.programs.list(), Files: o.files(), ExecOutput: o.policy.output, FileRead: o.policy.maxRead, Network: o.network,
	})
	dropCapabilities(a, engine, o, restored, logger)
	if a.Permits("guest-fsfreeze-freeze") {
		go foretell(engine, logger)
	}
	err = a.Serve(ctx, listener)
	tell("STOPPING=1")
	if err != nil && o.daemonize {
		logger.Error(err.Error()) // nobody waits for a daemon's error
	}
	return err
}

// openChannel opens the channel, or makes that a matter of later.
func openChannel(ctx context.Context, o options, logger *slog.Logger) (channel.Listener, error) {
	open := func(ctx context.Context) (channel.Listener, error) {
		return channel.Open(ctx, channel.Config{
			Method: o.method, Path: o.path, Retry: o.retry, Activated: o.activated, AllowCIDs: o.allowCIDs,
			AllowUIDs: o.allowUIDs, Log: logger,
		})
	}
	if o.cloudInit == 0 {
		return open(ctx)
	}
	return &laterListener{open: open, dir: cloudInitRun, limit: o.cloudInit, log: logger}, nil
}
