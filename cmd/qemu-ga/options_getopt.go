package main

import (
	"errors"
	"fmt"
	"strings"
)

// given is one option as the command line gives it, or err for one that does
// not exist or lacks its argument.
type given struct {
	option *option
	value  string
	err    error
	from   string // the place in a sysconfig file; "" is the command line
}

// getopt reads a command line as getopt_long(3) does: options and other words
// in any order until "--", short options bundled, long ones abbreviated as far
// as they stay unambiguous, with the argument attached or following. It goes on
// after an error, so that a later -c is seen. Words that are no options are
// returned as stray.
func getopt(args []string, m mode) (opts []given, stray []string) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var g []given
		switch {
		case arg == "--":
			return opts, append(stray, args...)
		case strings.HasPrefix(arg, "--"):
			g, args = longOption(arg[2:], args, m)
		case len(arg) > 1 && arg[0] == '-':
			g, args = shortOptions(arg[1:], args)
		default:
			stray = append(stray, arg)
		}
		opts = append(opts, g...)
	}
	return opts, stray
}

// shortOptions reads a bundle, say dvmunix-listen. args is what follows it.
func shortOptions(bundle string, args []string) (opts []given, rest []string) {
	for bundle != "" {
		c := bundle[0]
		bundle = bundle[1:]
		opt := findShort(c)
		switch {
		case opt == nil:
			opts = append(opts, given{err: fmt.Errorf("invalid option -- '%c'", c)})
			continue
		case opt.arg == noArgument:
			opts = append(opts, given{option: opt})
			continue
		case bundle != "":
			return append(opts, given{option: opt, value: bundle}), args
		case opt.arg == mayHaveArgument:
			return append(opts, given{option: opt, value: defaultHook}), args
		case len(args) == 0:
			return append(opts, given{err: fmt.Errorf("option requires an argument -- '%c'", c)}), nil
		}
		return append(opts, given{option: opt, value: args[0]}), args[1:]
	}
	return opts, args
}

// errUnrecognized is findLong's error for a name that no option begins with.
var errUnrecognized = errors.New("unrecognized option")

// longOption reads one long option, without its dashes.
func longOption(text string, args []string, m mode) (opts []given, rest []string) {
	name, value, attached := strings.Cut(text, "=")
	opt, err := findLong(name, m)
	switch {
	case errors.Is(err, errUnrecognized):
		return []given{{err: fmt.Errorf("%w '--%s'", err, text)}}, args
	case err != nil:
		return []given{{err: fmt.Errorf("option '--%s' %w", text, err)}}, args
	case opt.arg == noArgument && attached:
		return []given{{err: fmt.Errorf("option '--%s' doesn't allow an argument", opt.long)}}, args
	case opt.arg == noArgument, attached:
	case opt.arg == mayHaveArgument:
		value = defaultHook
	case len(args) == 0:
		return []given{{err: fmt.Errorf("option '--%s' requires an argument", opt.long)}}, args
	default:
		value, args = args[0], args[1:]
	}
	return []given{{option: opt, value: value}}, args
}

func findShort(c byte) *option {
	for i := range optionTable {
		if optionTable[i].short == c {
			return &optionTable[i]
		}
	}
	return nil
}

// findLong finds a long option by its name or the beginning of it. What is an
// unambiguous beginning to qemu-ga remains one, whatever options we have added.
func findLong(name string, m mode) (*option, error) {
	var theirs, ours []*option
	for i := range optionTable {
		opt := &optionTable[i]
		switch {
		case !strings.HasPrefix(opt.long, name), opt.long == "ignored", opt.word != runDaemon && opt.word != m:
		case opt.long == name:
			return opt, nil
		case opt.own:
			ours = append(ours, opt)
		default:
			theirs = append(theirs, opt)
		}
	}
	found := theirs
	if len(found) == 0 {
		found = ours
	}
	switch len(found) {
	case 0:
		return nil, errUnrecognized
	case 1:
		return found[0], nil
	}
	var b strings.Builder
	b.WriteString("is ambiguous; possibilities:")
	for _, opt := range found {
		fmt.Fprintf(&b, " '--%s'", opt.long)
	}
	return nil, errors.New(b.String())
}
