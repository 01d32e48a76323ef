// Command qga-bench measures this agent and the real qemu-ga side by side, in
// one run and alternating, on loop filesystems in a freezing ground.
//
//	qga-bench [-short] [-only PART] [-match TEXT] AGENT REFERENCE RESULTS
//
// AGENT is this agent's program, REFERENCE the directory of the real one that
// .ci/setup makes, RESULTS the directory that results.md and stalls.svg are
// written to. Only the ratios of one run mean anything: machines differ.
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"qemu-ga/freeze/freezetest"
)

// Where things lie in the ground.
const (
	ownProgram       = "/agent/qemu-ga"
	referenceDir     = "/reference"
	referenceProgram = referenceDir + "/qemu-ga"
	tableName        = "results.md"
	chartName        = "stalls.svg"
)

// options are the command line's.
type options struct {
	short bool
	only  string
	match string
	args  []string
}

func main() {
	if len(os.Args) > 2 && os.Args[0] == writersName {
		if err := runWriters(os.Args[1], os.Args[2:]); err != nil {
			fail(err)
		}
		return
	}
	var o options
	flag.BoolVar(&o.short, "short", false, "fewer rounds and filesystems: two minutes")
	flag.StringVar(&o.only, "only", "", "measure one part: stalls, commands, memory or nested")
	flag.StringVar(&o.match, "match", "", "measure the stalls of the scenarios whose name has this text")
	flag.Parse()
	if o.args = flag.Args(); len(o.args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: qga-bench [-short] [-only PART] [-match TEXT] AGENT REFERENCE RESULTS (make bench does it all)")
		os.Exit(2)
	}
	if missing := freezetest.Missing(); missing != "" {
		fail(errors.New(missing))
	}
	status, err := enter(o)
	if err != nil {
		fail(err)
	}
	os.Exit(status)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "qga-bench:", err)
	os.Exit(1)
}

// enter runs the benchmark in a ground. The results of a run that fails do
// not take the place of earlier ones.
func enter(o options) (int, error) {
	cfg := freezetest.Config{Files: map[string]string{}, Results: map[string]string{}}
	if freezetest.Inside() {
		return freezetest.Main(func() int {
			if err := measure(o); err != nil {
				fail(err)
			}
			return 0
		}, cfg), nil
	}
	agent, err := filepath.Abs(o.args[0])
	if err != nil {
		return 0, err
	}
	reference, err := filepath.Abs(o.args[1])
	if err != nil {
		return 0, err
	}
	results, err := filepath.Abs(o.args[2])
	if err != nil {
		return 0, err
	}
	maps.Copy(cfg.Files, map[string]string{agent: ownProgram, reference: referenceDir})
	names := []string{tableName, chartName}
	if o.only != "" {
		names = nil // a part is no result
	}
	for _, name := range names {
		cfg.Results["/"+name] = filepath.Join(results, name+".new")
	}
	if freezetest.Outside() {
		if err := os.MkdirAll(results, 0o755); err != nil {
			return 0, err
		}
	}
	status := freezetest.Main(nil, cfg)
	if freezetest.Outside() {
		for _, name := range names {
			path := filepath.Join(results, name)
			if err := keep(path+".new", path, status == 0); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

// keep puts a new result in its place, if it is any good.
func keep(from, to string, good bool) error {
	info, err := os.Stat(from)
	if err != nil || !good || info.Size() == 0 {
		return os.RemoveAll(from)
	}
	return os.Rename(from, to)
}
