// Package policy holds the SELinux module of qemu-ga, which lets the agent
// freeze every filesystem where SELinux is enforced. The module's own comments
// say what it allows, and why.
package policy

import _ "embed" // for Module

// Name is what semodule(8) calls the module: the name of its file less ".cil".
const Name = "qemu-ga"

// Module is the text of the module in CIL, the language that semodule(8)
// installs on any policy.
//
//go:embed qemu-ga.cil
var Module string
