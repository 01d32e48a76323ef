package main

import (
	"fmt"
	"strings"
)

const manualHead = `.\" Made by "make generate" of the agent's command table and structs.
.TH QEMU-GA-REF 7 "" "qemu-ga" "QEMU guest agent"
.SH NAME
qemu-ga-ref \- commands of the QEMU guest agent
.SH DESCRIPTION
What a host can ask
.BR qemu-ga (8)
for.
A request is a JSON object
.IP
{"execute": NAME, "arguments": {...}, "id": ...}
.PP
of which arguments and id may be missing; the reply is
.IP
{"return": ...}
.PP
or
.IP
{"error": {"class": ..., "desc": ...}}
.PP
with the id if there was one.
Commands that begin with x- are this agent's own, all others are those of
QEMU's agent.
Below, a[].b is the member b of each object in the list a, and what is optional
may be missing: in arguments because it need not be given, in returns because
it is not known or does not apply.
Sizes are in bytes.
.SH COMMANDS
`

const manualTail = `.SH SEE ALSO
.BR qemu-ga (8)
`

// manual makes the manual page.
func manual(commands []command) string {
	var b strings.Builder
	b.WriteString(manualHead)
	for _, c := range commands {
		fmt.Fprintf(&b, ".SS %s\n", roff(c.name))
		for i, words := range c.words {
			if i > 0 {
				b.WriteString(".PP\n")
			}
			b.WriteString(sentences(words))
		}
		if len(c.args) > 0 {
			b.WriteString(".PP\nArguments:\n")
			manualMembers(&b, c.args)
		}
		switch {
		case len(c.members) > 0:
			fmt.Fprintf(&b, ".PP\nReturns %s:\n", kindOfAll(c))
			manualMembers(&b, c.members)
		case c.returns == "object":
			b.WriteString(".PP\nReturns {}.\n")
		default:
			fmt.Fprintf(&b, ".PP\nReturns: %s.\n", roff(c.returns))
		}
	}
	return b.String() + manualTail
}

func manualMembers(b *strings.Builder, members []member) {
	for _, m := range members {
		optional := ""
		if m.optional {
			optional = ", optional"
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR (%s%s)\n%s", roff(strings.Join(m.names, ", ")), roff(m.kind), optional, sentences(m.words))
	}
}

// sentences writes each sentence on a line of its own, with the names in bold.
func sentences(words string) string {
	text := roff(words)
	for strings.Count(text, "`") > 1 {
		text = strings.Replace(strings.Replace(text, "`", `\fB`, 1), "`", `\fR`, 1)
	}
	text = strings.ReplaceAll(text, ". ", ".\n")
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			b.WriteString(`\&`)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// roff escapes what means something to roff.
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(text)
}
