package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"qemu-ga/agent"
	"qemu-ga/agent/channel"
	"qemu-ga/agent/guest"
)

// Where things are unless an option says otherwise: qemu-ga's paths.
const (
	defaultConfig   = "/etc/qemu/qemu-ga.conf"
	defaultHook     = "/etc/qemu/fsfreeze-hook"
	defaultPIDFile  = "/var/run/qemu-ga.pid"
	defaultStateDir = "/var/run"
	defaultVirtio   = "/dev/virtio-ports/org.qemu.guest_agent.0"
	defaultSerial   = "/dev/ttyS0"
)

// mode is what the program is to do.
type mode int

const (
	runDaemon    mode = iota
	showHelp          // -h
	showVersion       // -V
	listCommands      // -b help, -a help
	dumpConfig        // -D
	checkFreeze       // qemu-ga check
	thawNow           // qemu-ga thaw
	printPolicy       // qemu-ga policy
)

// options is all that the command line, the configuration file and the
// environment say.
type options struct {
	mode    mode
	json    bool // check --json
	all     bool // thaw --all
	install bool // policy --install

	daemonize bool
	method    string
	path      string // "" with socket activation
	activated bool   // descriptor 3 is the channel
	logFile   string // "" is standard error
	pidFile   string
	hook      string // "" is none
	stateDir  string
	verbose   bool
	retry     bool
	block     []string // commands disabled
	allow     []string // the only commands enabled; nil is all
	profiles  []string // whose commands are enabled; nil is all

	freeze    freezeOptions
	cloudInit time.Duration // how long to wait for its end before connecting; 0 is not at all
	allowCIDs []uint32      // vsock peers served; nil is the host alone
	allowUIDs []uint32      // users served on a unix socket beside root

	policy  policyOptions
	network guest.NetworkView
	config  string // the configuration file that was read
	// warnings are for the log, once there is one.
	warnings []string
}

// freezeOptions is the group [fsfreeze].
type freezeOptions struct {
	timeout      time.Duration // until what is frozen thaws by itself
	window       time.Duration // from the first filesystem frozen to the last
	stall        time.Duration // without a write completed, for a disk to count as hung
	hook         time.Duration // for one run of the hook
	presync      bool          // write out before freezing
	expedite     bool          // expedited RCU grace periods while freezing
	reportExpiry bool          // tell the host that the timeout struck
	exclude      []string      // mount points never frozen
}

// defaults are the options of an empty command line.
func defaults() options {
	return options{
		method:   channel.VirtioSerial,
		pidFile:  defaultPIDFile,
		stateDir: defaultStateDir,
		freeze: freezeOptions{
			timeout: 300 * time.Second, window: 30 * time.Second,
			stall: 15 * time.Second, hook: 60 * time.Second,
			presync: true, expedite: true, reportExpiry: true,
		},
	}
}

// tryHelp is what to do about a bad option.
const tryHelp = "try 'qemu-ga --help' for more information"

// parseOptions reads the command line (without the program's name) and the
// configuration file. activated is the method of a socket that was passed to
// the process, or "". Errors are one line, and exit status 1.
//
// As in qemu-ga the configuration file comes first, whatever the command line
// says beside its name, and then options from left to right until one that
// ends the matter, such as --help, or is bad. --sysconfig stands for the
// options in its file, of which bad ones are left out, but for those that say
// what hosts may do.
func parseOptions(args []string, getenv func(string) string, activated string) (options, error) {
	o := defaults()
	if len(args) > 0 {
		if m, ok := words[args[0]]; ok {
			o.mode, args = m, args[1:]
		}
	}
	given, stray := getopt(args, o.mode)
	given = o.expand(given)
	if err := loadConfig(&o, given, getenv); err != nil {
		return o, err
	}
	for _, g := range given {
		done, err := g.carryOut(&o)
		switch {
		case err != nil && g.from != "" && (g.option == nil || !strict(g.option.group)):
			o.warnings = append(o.warnings, fmt.Sprintf("%s: %v; it is ignored", g.from, err))
		case err != nil && g.from != "":
			return o, fmt.Errorf("%s: %w", g.from, err)
		case err != nil:
			return o, err
		case done:
			return o, nil
		}
	}
	if len(stray) > 0 {
		text := fmt.Sprintf("'%s' is no option", stray[0])
		if o.mode == checkFreeze || o.mode == thawNow || o.mode == printPolicy {
			return o, fmt.Errorf("%s: %s", text, tryHelp)
		}
		// qemu-ga ignores these silently.
		o.warnings = append(o.warnings, text+" and is ignored: "+tryHelp)
	}
	if err := agent.CheckProfiles(o.profiles); err != nil {
		return o, fmt.Errorf("option '--profile': %w", err)
	}
	return o, o.locate(activated)
}

// expand puts the options in sysconfig files in the place of --sysconfig.
func (o *options) expand(opts []given) []given {
	var all []given
	for _, g := range opts {
		if g.err != nil || g.option.long != "sysconfig" {
			all = append(all, g)
			continue
		}
		more, warnings := readSysconfig(g.value)
		all = append(all, more...)
		o.warnings = append(o.warnings, warnings...)
	}
	return all
}

// carryOut makes o what the option says. done says that the rest of the
// command line does not matter.
func (g given) carryOut(o *options) (done bool, err error) {
	if g.err != nil {
		if g.from != "" {
			return false, g.err
		}
		return false, fmt.Errorf("%w: %s", g.err, tryHelp)
	}
	if before := o.mode; g.from != "" {
		// What only prints something is out of place in a file.
		defer func() {
			if o.mode != before {
				o.mode, done, err = before, false, fmt.Errorf("option '--%s' is for a terminal", g.option.long)
			}
		}()
	}
	done, err = g.option.apply(o, g.value)
	if err != nil {
		err = fmt.Errorf("option '--%s': %w", g.option.long, err)
	}
	return done, err
}

// locate settles where the channel is.
func (o *options) locate(activated string) error {
	switch {
	case activated != "":
		o.method, o.path, o.activated = activated, "", true
	case o.path != "":
	case o.method == channel.VirtioSerial:
		o.path = defaultVirtio
	case o.method == channel.ISASerial:
		o.path = defaultSerial
	case o.mode == runDaemon || o.mode == dumpConfig:
		return errors.New("must specify a path for this channel: give it with --path")
	}
	return nil
}

// apply carries an option out. done says that the rest of the command line
// does not matter.
func (opt *option) apply(o *options, value string) (done bool, err error) {
	switch opt.long {
	case "config", "ignored", "sysconfig":
		return false, nil
	case "help":
		o.mode = showHelp
		return true, nil
	case "version":
		o.mode = showVersion
		return true, nil
	case "dump-conf":
		o.mode = dumpConfig
		return false, nil
	case "json":
		o.json = true
		return false, nil
	case "all":
		o.all = true
		return false, nil
	case "install":
		o.install = true
		return false, nil
	case "block-rpcs", "blacklist", "allow-rpcs":
		if value == "help" || value == "?" {
			o.mode = listCommands
			return true, nil
		}
	}
	s := findSetting(opt.group, opt.key)
	if opt.arg == noArgument {
		value = "true"
	}
	return false, s.bind(o).set(value)
}

// splitList splits at commas; no more is done to the names, so that a name
// with a blank stays one that no command has.
func splitList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
