package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// The distributions' units and init scripts take options from variables in a
// file, each release under other names. --sysconfig=FILE reads such a file in
// the agent itself: what is not known is named in the log and the rest counts,
// where a unit would fail to start or silently block nothing.

// variable is an assignment of a sysconfig file.
type variable struct {
	name, value string
	line        int // from 1
}

// sysconfigVariables says which option each variable stands for, by who had
// it. "" is words of a command line.
var sysconfigVariables = map[string]string{
	"DAEMON_ARGS":            "",              // Debian
	"FILTER_RPC_ARGS":        "",              // Fedora, RHEL from 9.4, SUSE
	"BLOCK_RPCS":             "block-rpcs",    // RHEL 9.2
	"BLACKLIST_RPC":          "block-rpcs",    // RHEL up to 9.1
	"FSFREEZE_HOOK_PATHNAME": "fsfreeze-hook", // RHEL, Fedora, SUSE
	"FSFREEZE_HOOK_ENABLE":   "fsfreeze-hook", // RHEL 6
	"TRANSPORT_METHOD":       "method",        // RHEL 6
	"DEVPATH":                "path",          // RHEL 6
	"LOGFILE":                "logfile",       // RHEL 6
	"PIDFILE":                "pidfile",       // RHEL 6
	"GA_METHOD":              "method",        // Alpine
	"GA_PATH":                "path",          // Alpine
	"TRANSPORT":              "method",        // Debian's init script: METHOD:PATH
}

// readSysconfig returns the options that a sysconfig file stands for, and what
// is to be said about it. A file that is missing says nothing.
func readSysconfig(path string) (opts []given, warnings []string) {
	data, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, []string{fmt.Sprintf("cannot read %s: %v", path, err)}
	}
	vars, strange := parseSysconfig(string(data))
	for _, line := range strange {
		warnings = append(warnings, fmt.Sprintf("%s, line %d: this assigns no variable and is ignored", path, line))
	}
	hook := hookVariables{}
	for _, v := range vars {
		where := fmt.Sprintf("%s, line %d", path, v.line)
		long, known := sysconfigVariables[v.name]
		switch {
		case !known:
			warnings = append(warnings, fmt.Sprintf("%s: variable %s is not known and is ignored", where, v.name))
		case long == "":
			words, stray := getopt(strings.Fields(v.value), runDaemon)
			for _, word := range stray {
				warnings = append(warnings, fmt.Sprintf("%s: '%s' is no option and is ignored", where, word))
			}
			for _, g := range words {
				g.from = where
				opts = append(opts, g)
			}
		case long == "fsfreeze-hook":
			hook.take(v)
		case v.value != "":
			opts = append(opts, assigned(where, long, v)...)
		}
	}
	return append(opts, hook.options(path)...), warnings
}

// assigned makes the options of a variable that has one value.
func assigned(where, long string, v variable) []given {
	value := v.value
	if long == "block-rpcs" {
		// A name with a blank would block nothing.
		value = strings.Join(strings.Fields(value), "")
	}
	method, path, both := strings.Cut(value, ":")
	if v.name != "TRANSPORT" || !both {
		return []given{{option: findOption(long), value: value, from: where}}
	}
	return []given{
		{option: findOption("method"), value: method, from: where},
		{option: findOption("path"), value: path, from: where},
	}
}

// findOption returns the option of a long name that exists.
func findOption(long string) *option {
	for i := range optionTable {
		if optionTable[i].long == long {
			return &optionTable[i]
		}
	}
	panic("no option " + long)
}

// hookVariables are the two variables about the hook.
type hookVariables struct {
	seen bool
	off  bool
	path string // "" is the default
}

func (h *hookVariables) take(v variable) {
	h.seen = true
	if v.name == "FSFREEZE_HOOK_PATHNAME" {
		h.path = v.value
		return
	}
	switch strings.ToLower(v.value) {
	case "", "0", "no", "false", "off":
		h.off = true
	}
}

// options are RHEL's meaning: no hook for /dev/null, the default one for an
// empty name.
func (h *hookVariables) options(where string) []given {
	if !h.seen {
		return nil
	}
	value := h.path
	switch {
	case h.off, value == "/dev/null":
		value = ""
	case value == "":
		value = defaultHook
	}
	return []given{{option: findOption("fsfreeze-hook"), value: value, from: where}}
}

// parseSysconfig reads what systemd reads from an EnvironmentFile, and a shell
// from a file that assigns variables and does nothing else:
//
//	# a comment
//	BLOCK_RPCS="guest-exec,guest-file-open"
//
// A backslash joins two lines. Of a variable assigned twice the last counts.
// strange are the lines that assign nothing.
func parseSysconfig(text string) (vars []variable, strange []int) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line, number := strings.TrimSpace(lines[i]), i+1
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, `\`) + strings.TrimSpace(lines[i])
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
		if !ok || !validVariable(name) {
			strange = append(strange, number)
			continue
		}
		for j := range vars {
			if vars[j].name == name {
				vars = append(vars[:j], vars[j+1:]...)
				break
			}
		}
		vars = append(vars, variable{name, unquote(strings.TrimSpace(value)), number})
	}
	return vars, strange
}

func validVariable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// unquote takes a shell's quotes and backslashes off a value. A comment may
// follow the value after a blank.
func unquote(value string) string {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '\\' && quote != '\'' && i+1 < len(value):
			i++
			b.WriteByte(value[i])
		case quote == 0 && c == '#' && i > 0 && (value[i-1] == ' ' || value[i-1] == '\t'):
			return strings.TrimRight(b.String(), spaces)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
