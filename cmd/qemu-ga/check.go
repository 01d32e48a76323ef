package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"qemu-ga/freeze"
)

// notReady makes the exit status of `qemu-ga check` 1 without a word more:
// what was found has been printed.
type notReady struct{}

func (notReady) Error() string { return "a snapshot of this guest would not be consistent" }

// check is `qemu-ga check`: would a snapshot of this guest be consistent?
func check(o options, w io.Writer) error {
	found, err := freeze.New(freezeConfig(o, nil, nil)).Check()
	if err != nil {
		return err
	}
	if o.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		err = enc.Encode(found)
	} else {
		err = printCheck(w, found)
	}
	if err == nil && !found.Ready {
		err = notReady{}
	}
	return err
}

// marks are the words of a check's table.
var marks = map[string]string{
	freeze.OutcomeWouldFreeze: "freezes",
	freeze.OutcomeSkipped:     "left alone",
	freeze.OutcomeUnsupported: "cannot freeze",
	freeze.OutcomeBlocked:     "BLOCKED",
}

func printCheck(w io.Writer, c freeze.Check) error {
	verdict := "A snapshot of this guest would be consistent."
	if !c.Ready {
		verdict = "A snapshot of this guest would NOT be consistent:"
	}
	if _, err := fmt.Fprintln(w, verdict); err != nil {
		return err
	}
	for _, problem := range c.Problems {
		if _, err := fmt.Fprintln(w, "  "+problem); err != nil {
			return err
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table) // its error is Flush's
	for _, f := range c.Filesystems {
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", marks[f.Outcome], f.Mountpoint, f.Type, f.Source, f.Reason)
	}
	if len(c.Hooks) > 0 {
		_, _ = fmt.Fprintf(table, "\nRun before the freeze, and backwards after it:\n  %s\n", strings.Join(c.Hooks, "\n  "))
	}
	return table.Flush()
}
