package main

import (
	"fmt"
	"io"
	"strings"
)

// inform answers the options that ask for something to be printed. It returns
// false when o asks for nothing of the kind. commands are the names of all
// commands, in the order of the table.
func inform(w io.Writer, o options, version string, commands []string) (bool, error) {
	var text string
	switch o.mode {
	case showHelp:
		text = usage
	case showVersion:
		text = "QEMU Guest Agent " + version + "\n"
	case listCommands:
		text = strings.Join(commands, "\n") + "\n"
	case dumpConfig:
		text = dump(o)
	case runDaemon, checkFreeze, thawNow, printPolicy:
		return false, nil
	}
	_, err := io.WriteString(w, text)
	return true, err
}

// dump writes o as a configuration file: [general] complete and in qemu-ga's
// order, of our groups what differs from the defaults. Unlike qemu-ga's, its
// lists are in the order given.
func dump(o options) string {
	var b strings.Builder
	initial := defaults()
	group := ""
	for _, s := range settings {
		text := s.bind(&o).String()
		if s.group == general && text == "" && !s.shown {
			continue
		}
		if s.group != general && text == s.bind(&initial).String() {
			continue
		}
		if s.group != group {
			if group != "" {
				b.WriteByte('\n')
			}
			group = s.group
			fmt.Fprintf(&b, "[%s]\n", group)
		}
		fmt.Fprintf(&b, "%s=%s\n", s.key, escape(text))
	}
	return b.String()
}
