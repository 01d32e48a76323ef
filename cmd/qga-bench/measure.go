package main

import (
	"fmt"
	"os"
)

// results are everything that was measured.
type results struct {
	machine machine
	stalls  []*stalls
	tables  []table
	short   bool   // few rounds
	nested  string // what came of the nested filesystems
}

// table is a group of measurements under one heading.
type table struct {
	title string
	note  string
	rows  []*pairs
}

// measure is the benchmark, inside the ground.
func measure(o options) error {
	r := results{machine: describeMachine(), short: o.short}
	// The memory comes first: the interfaces that the commands need stay.
	if wanted(o, "memory") {
		t, err := measureFootprint(o.short)
		if err != nil {
			return err
		}
		r.tables = append(r.tables, t)
	}
	if wanted(o, "commands") {
		tables, err := measureCommands(o.short)
		if err != nil {
			return err
		}
		r.tables = append(r.tables, tables...)
	}
	if wanted(o, "stalls") {
		var err error
		if r.stalls, err = measureStalls(o.short, o.match); err != nil {
			return err
		}
	}
	if wanted(o, "nested") {
		var err error
		if r.nested, err = measureNested(o.short); err != nil {
			return err
		}
	}
	r.machine.finish()
	if o.only != "" {
		return nil // a part is no result
	}
	for name, text := range map[string]string{tableName: r.markdown(), chartName: chart(r.stalls)} {
		if err := os.WriteFile("/"+name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func wanted(o options, part string) bool { return o.only == "" || o.only == part }

func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }
