package main

import (
	"fmt"
	"strings"
)

const pageHead = `# Commands

What a host can ask for. Made by ` + "`make generate`" + ` of the agent's command
table and structs; do not edit.

A request is a JSON object ` + "`{\"execute\": NAME, \"arguments\": {…}, \"id\": …}`" + `, of
which arguments and id may be missing; the reply is
` + "`{\"return\": …}`" + ` or ` + "`{\"error\": {\"class\": …, \"desc\": …}}`" + `, with the id if there was
one. Commands that begin with x- are this agent's own, all others are those of
QEMU's agent. In the tables ` + "`a[].b`" + ` is the member b of each object in the list a,
and what is optional may be missing: in arguments because it need not be
given, in returns because it is not known or does not apply. Sizes are in bytes.

`

// page makes the page in Markdown.
func page(commands []command) string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, c := range commands {
		fmt.Fprintf(&b, "* [%s](#%s)\n", c.name, c.name)
	}
	for _, c := range commands {
		fmt.Fprintf(&b, "\n## %s\n", c.name)
		for _, words := range c.words {
			b.WriteString("\n" + wrap(words) + "\n")
		}
		if len(c.args) > 0 {
			b.WriteString("\n| argument | type | |\n|---|---|---|\n")
			pageRows(&b, c.args)
		}
		switch {
		case len(c.members) > 0:
			fmt.Fprintf(&b, "\nReturns: %s\n\n| member | type | |\n|---|---|---|\n", kindOfAll(c))
			pageRows(&b, c.members)
		case c.returns == "object":
			b.WriteString("\nReturns: `{}`\n")
		default:
			fmt.Fprintf(&b, "\nReturns: %s\n", c.returns)
		}
	}
	return b.String()
}

func kindOfAll(c command) string {
	if c.returns == "object" {
		return "an object"
	}
	return "a list of objects"
}

func pageRows(b *strings.Builder, members []member) {
	for _, m := range members {
		optional := ""
		if m.optional {
			optional = ", optional"
		}
		fmt.Fprintf(b, "| `%s` | %s%s | %s |\n", strings.Join(m.names, "`, `"), m.kind, optional, strings.ReplaceAll(m.words, "|", `\|`))
	}
}

// wrap breaks a paragraph into lines.
func wrap(words string) string {
	const width = 78
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(words) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
