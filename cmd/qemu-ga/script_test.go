package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qemu-ga/freeze"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptLimit bounds each wait of a script.
const scriptLimit = 10 * time.Second

func TestMain(m *testing.M) {
	freeze.Init()
	testscript.Main(m, map[string]func(){"qemu-ga": main})
}

// TestScripts runs the stories of testdata/script: a command line, what is
// printed and logged, and the exit status.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("QGA_CONF", env.WorkDir+"/qemu-ga.conf")
			env.Values["manager"] = &manager{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "ask": ask, "halt": halt, "oneline": oneLineOnly, "manager": startManager, "told": told,
		},
	})
}

// until waits for a condition.
func until(ts *testscript.TestScript, what string, condition func() bool) {
	for end := time.Now().Add(scriptLimit); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("waited for %s in vain", what)
		}
	}
}

// await FILE [TEXT] waits for a file, or for text in it.
func await(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, strings.Join(args, ": "), func() bool {
		if len(args) == 1 {
			_, err := os.Lstat(ts.MkAbs(args[0]))
			return err == nil
		}
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(data), args[1])
	})
}

// ask SOCKET REQUEST waits for an agent there, sends a request and puts the reply where stdout is.
func ask(ts *testscript.TestScript, _ bool, args []string) {
	var c net.Conn
	var err error
	until(ts, "a connection to "+args[0], func() bool {
		c, err = net.Dial("unix", ts.MkAbs(args[0]))
		return err == nil
	})
	defer c.Close()
	ts.Check(c.SetDeadline(time.Now().Add(scriptLimit)))
	_, err = io.WriteString(c, args[1]+"\n")
	ts.Check(err)
	reply, err := bufio.NewReader(c).ReadString('\n')
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), reply)
	ts.Check(err)
}

// halt PIDFILE ends a daemon and waits for its end.
func halt(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
	until(ts, "the end of the daemon", func() bool {
		_, err := os.Lstat(ts.MkAbs(args[0]))
		return errors.Is(err, os.ErrNotExist)
	})
}

// oneline FILE says that a file (stderr, mostly) is one line.
func oneLineOnly(ts *testscript.TestScript, _ bool, args []string) {
	if text := ts.ReadFile(args[0]); strings.Count(text, "\n") != 1 {
		ts.Fatalf("%s is not one line: %q", args[0], text)
	}
}
