package faults

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Variable names the environment variable that names the table's file.
const Variable = "FAULTS_TABLE"

// Outcome is what a fault did to a guest with one of the agents.
type Outcome struct {
	// Frozen is the longest that a filesystem took no write, by the word of
	// one who wrote to it all the time.
	Frozen time.Duration
	// Still tells that it took none as long as it was looked at, and had to
	// be thawed from outside.
	Still bool
	// Told is what the host was told.
	Told string
	// Failed tells that the agent did not do what it has to.
	Failed bool
	// Omitted says why the fault was not done to this agent; "" if it was.
	Omitted string
}

// Row is one fault.
type Row struct {
	// Fault names it, Did says what was done.
	Fault, Did string
	// Ours and Reference are what came of it with our agent and with the C
	// agent.
	Ours, Reference Outcome
}

// frozen is the outcome's first cell.
func (o Outcome) frozen() string {
	switch {
	case o.Omitted != "":
		return "–"
	case o.Still:
		return fmt.Sprintf("**still frozen** after %.1f s", o.Frozen.Seconds())
	case o.Frozen < time.Second:
		return fmt.Sprintf("%d ms", o.Frozen.Milliseconds())
	default:
		return fmt.Sprintf("%.1f s", o.Frozen.Seconds())
	}
}

// told is its second cell.
func (o Outcome) told() string {
	if o.Omitted != "" {
		return o.Omitted
	}
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(o.Told)
}

// Write writes the table as Markdown.
func Write(w io.Writer, title string, rows []Row) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n", title)
	b.WriteString("| fault | what was done | frozen: ours | the host was told | frozen: C agent | the host was told |\n")
	b.WriteString("|---|---|---|---|---|---|\n")
	survived := 0
	for _, r := range rows {
		mark := ""
		if r.Ours.Failed {
			mark = "**FAILED** "
		} else {
			survived++
		}
		fmt.Fprintf(&b, "| %s | %s | %s%s | %s | %s | %s |\n", r.Fault, r.Did,
			mark, r.Ours.frozen(), r.Ours.told(), r.Reference.frozen(), r.Reference.told())
	}
	fmt.Fprintf(&b, "\n%d of %d survived.\n", survived, len(rows))
	_, err := io.WriteString(w, b.String())
	return err
}
