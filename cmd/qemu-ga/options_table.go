package main

import "strings"

// argument says whether an option has one.
type argument int

const (
	noArgument argument = iota
	needsArgument
	mayHaveArgument // attached only: -F/x, --fsfreeze-hook=/x
)

// option is one option of the command line. Most give the value of a key in
// the configuration file.
type option struct {
	short byte // 0: it has only a long name
	long  string
	arg   argument
	group string // of its key; "" for an option that has none
	key   string
	word  mode // the only mode that has the option; runDaemon: all have it
	own   bool // not an option of qemu-ga's
}

// setting is one key of the configuration file.
type setting struct {
	group, key string
	bind       func(*options) value
	shown      bool // in a dump even if empty
}

// words are what the first argument may be instead of an option.
var words = map[string]mode{"check": checkFreeze, "thaw": thawNow, "policy": printPolicy}

// general is the group of qemu-ga's own keys.
const general = "general"

// settings are all keys of the configuration file, in the order of a dump.
var settings = []setting{
	{general, "daemon", func(o *options) value { return (*boolValue)(&o.daemonize) }, true},
	{general, "method", func(o *options) value { return (*stringValue)(&o.method) }, true},
	{general, "path", func(o *options) value { return (*stringValue)(&o.path) }, false},
	{general, "logfile", func(o *options) value { return (*stringValue)(&o.logFile) }, false},
	{general, "pidfile", func(o *options) value { return (*stringValue)(&o.pidFile) }, true},
	{general, "fsfreeze-hook", func(o *options) value { return (*stringValue)(&o.hook) }, false},
	{general, "statedir", func(o *options) value { return (*stringValue)(&o.stateDir) }, true},
	{general, "verbose", func(o *options) value { return (*boolValue)(&o.verbose) }, true},
	{general, "retry-path", func(o *options) value { return (*boolValue)(&o.retry) }, true},
	{general, "block-rpcs", func(o *options) value { return (*listValue)(&o.block) }, true},
	{general, "allow-rpcs", func(o *options) value { return (*listValue)(&o.allow) }, true},

	{"fsfreeze", "timeout", func(o *options) value { return (*secondsValue)(&o.freeze.timeout) }, false},
	{"fsfreeze", "window-timeout", func(o *options) value { return (*secondsValue)(&o.freeze.window) }, false},
	{"fsfreeze", "stall-timeout", func(o *options) value { return (*secondsValue)(&o.freeze.stall) }, false},
	{"fsfreeze", "hook-timeout", func(o *options) value { return (*secondsValue)(&o.freeze.hook) }, false},
	{"fsfreeze", "presync", func(o *options) value { return (*boolValue)(&o.freeze.presync) }, false},
	{"fsfreeze", "expedite", func(o *options) value { return (*boolValue)(&o.freeze.expedite) }, false},
	{"fsfreeze", "exclude", func(o *options) value { return (*listValue)(&o.freeze.exclude) }, false},
	{"fsfreeze", "report-expiry", func(o *options) value { return (*boolValue)(&o.freeze.reportExpiry) }, false},
	{"commands", "profile", func(o *options) value { return (*profilesValue)(&o.profiles) }, false},
	{"unix", "allow-uids", func(o *options) value { return (*uidsValue)(&o.allowUIDs) }, false},
	{"cloud-init", "wait", func(o *options) value { return (*waitValue)(&o.cloudInit) }, false},
	{"exec", "allow", func(o *options) value { return &o.policy.programs }, false},
	{"exec", "output-limit", func(o *options) value { return (*sizeValue)(&o.policy.output) }, false},
	{"file", "read", func(o *options) value { return &o.policy.read }, false},
	{"file", "write", func(o *options) value { return &o.policy.write }, false},
	{"file", "read-limit", func(o *options) value { return (*sizeValue)(&o.policy.maxRead) }, false},
	{"network", "order", func(o *options) value { return (*orderValue)(&o.network.KernelOrder) }, false},
	{"network", "physical-only", func(o *options) value { return (*boolValue)(&o.network.PhysicalOnly) }, false},
	{"network", "exclude", func(o *options) value { return (*patternsValue)(&o.network.Exclude) }, false},
	{"network", "max", func(o *options) value { return (*countValue)(&o.network.Max) }, false},
	{"vsock", "allow-cids", func(o *options) value { return (*cidsValue)(&o.allowCIDs) }, false},
}

// optionTable is qemu-ga's options, then ours: one for each key of our groups.
var optionTable = append([]option{
	{short: 'h', long: "help"},
	{short: 'V', long: "version"},
	{short: 'c', long: "config", arg: needsArgument},
	{short: 'D', long: "dump-conf"},
	{short: 'l', long: "logfile", arg: needsArgument, group: general, key: "logfile"},
	{short: 'f', long: "pidfile", arg: needsArgument, group: general, key: "pidfile"},
	{short: 'F', long: "fsfreeze-hook", arg: mayHaveArgument, group: general, key: "fsfreeze-hook"},
	{short: 'v', long: "verbose", group: general, key: "verbose"},
	{short: 'm', long: "method", arg: needsArgument, group: general, key: "method"},
	{short: 'p', long: "path", arg: needsArgument, group: general, key: "path"},
	{short: 'd', long: "daemonize", group: general, key: "daemon"},
	{short: 'b', long: "block-rpcs", arg: needsArgument, group: general, key: "block-rpcs"},
	{short: 'a', long: "allow-rpcs", arg: needsArgument, group: general, key: "allow-rpcs"},
	{short: 't', long: "statedir", arg: needsArgument, group: general, key: "statedir"},
	{short: 'r', long: "retry-path", group: general, key: "retry-path"},
	// What Windows guests are given is taken everywhere.
	{short: 's', long: "ignored", arg: needsArgument, own: true},
	// The name up to version 8.
	{long: "blacklist", arg: needsArgument, group: general, key: "block-rpcs", own: true},
	{long: "sysconfig", arg: needsArgument, own: true},
	{long: "json", word: checkFreeze, own: true},
	{long: "all", word: thawNow, own: true},
	{long: "install", word: printPolicy, own: true},
}, ownOptions()...)

// ownOptions makes --GROUP-KEY of each key outside [general], and --KEY of
// those in [commands].
func ownOptions() []option {
	var opts []option
	for _, s := range settings {
		if s.group != general {
			opts = append(opts, option{long: strings.TrimPrefix(s.group+"-"+s.key, "commands-"), arg: needsArgument, group: s.group, key: s.key, own: true})
		}
	}
	return opts
}

// findSetting returns the setting of a key, or nil.
func findSetting(group, key string) *setting {
	for i := range settings {
		if s := &settings[i]; s.group == group && s.key == key {
			return s
		}
	}
	return nil
}
