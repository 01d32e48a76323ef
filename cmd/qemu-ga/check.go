package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"qemu-ga/agent"
	"qemu-ga/freeze"
	"qemu-ga/selinux"
)

// notReady makes the exit status of `qemu-ga check` 1 without a word more:
// what was found has been printed.
type notReady struct{}

func (notReady) Error() string { return "a snapshot of this guest would not be consistent" }

// checkResult is what `qemu-ga check --json` prints.
type checkResult struct {
	freeze.Check
	// SELinux is x-selinux-status about the agent, which need not have the
	// domain of whoever asks.
	SELinux agent.SELinuxStatus `json:"selinux"`
}

// foresee adds what the kernel would refuse the agent, and not this process.
func (c *checkResult) foresee() {
	if !c.SELinux.Facts.Foreign {
		return
	}
	for _, v := range c.SELinux.Mounts {
		if v.Allowed != "no" {
			continue
		}
		c.Ready = false
		c.Problems = append(c.Problems, v.Point+": "+v.Reason)
		for i := range c.Filesystems {
			if f := &c.Filesystems[i]; f.Device == v.Device && f.Outcome == freeze.OutcomeWouldFreeze {
				f.Outcome, f.Reason = freeze.OutcomeBlocked, "SELinux denies it to the agent"
			}
		}
	}
}

// check is `qemu-ga check`: would a snapshot of this guest be consistent?
func check(o options, w io.Writer) error {
	engine := freeze.New(freezeConfig(o, nil, nil))
	checked, err := engine.Check()
	if err != nil {
		return err
	}
	found := checkResult{Check: checked}
	if found.SELinux, err = agent.InspectSELinux("/", engine); err != nil {
		return err
	}
	found.foresee()
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

func printCheck(w io.Writer, c checkResult) error {
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
	if err := table.Flush(); err != nil {
		return err
	}
	return printSELinux(w, c.SELinux)
}

// printSELinux prints what SELinux has to do with it: each mount's label and
// verdict, and what to do.
func printSELinux(w io.Writer, s agent.SELinuxStatus) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "\n%s.\n", s.Summary) // its error is Flush's
	for _, finding := range s.Findings {
		_, _ = fmt.Fprintln(table, "  "+finding)
	}
	for _, v := range s.Mounts {
		if s.State == selinux.StateOff && v.Cause == selinux.CauseNone {
			continue
		}
		label := string(v.Label)
		if label == "" {
			label = "label " + string(v.From)
		}
		why := v.Missing
		if why == "" {
			why = v.Reason
		}
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", verdicts[v.Allowed], v.Point, label, why)
	}
	if len(s.Advice) > 0 {
		_, _ = fmt.Fprintln(table, "What to do, as root in the guest:")
	}
	for _, a := range s.Advice {
		if a.Command != "" {
			_, _ = fmt.Fprintf(table, "  %s\n      %s\n", a.Command, a.Text)
		} else {
			_, _ = fmt.Fprintf(table, "  %s\n", a.Text)
		}
	}
	return table.Flush()
}

// verdicts are the words of SELinux's table.
var verdicts = map[string]string{"yes": "allowed", "no": "DENIED", "unknown": "not known"}
