// Package freezetest gives tests and demonstrations a safe place to freeze
// filesystems: a private mount namespace whose root is a tmpfs, with only
// loop-mounted filesystems below it and no path to the machine's own disks.
//
// A freeze that reached the root filesystem of the machine would stop it.
// Nothing in a ground can: the old root is detached before anything runs, and
// the ground looks for real disks in its own mount table before it lets the
// test begin. When the test ends, however it ends, a supervisor thaws and
// unmounts what is left.
//
// A test package uses it so:
//
//	func TestMain(m *testing.M) { os.Exit(freezetest.Main(m.Run, freezetest.Config{})) }
//
//	func TestX(t *testing.T) {
//		freezetest.Need(t)
//		dir, err := freezetest.Mount(freezetest.FS{Type: "ext4", Dir: "/mnt/a"})
//		…
//	}
package freezetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Config says what a ground holds besides its tools.
type Config struct {
	// Files are copied into the ground: path outside -> path inside.
	// Directories are copied whole.
	Files map[string]string
	// Results are files that are copied out of the ground when run has
	// ended, if it has made them: path inside -> path outside.
	Results map[string]string
}

// Bring names a file or directory for Config.Files that is to be in the ground
// where it is outside; path may be relative.
func Bring(path string) map[string]string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	return map[string]string{abs: abs}
}

// The stages of entering a ground, told by an environment variable: outside
// (unset), supervisor, inside.
const (
	stageVariable = "QEMU_GA_GROUND"
	supervisor    = "supervisor"
	inside        = "inside"
)

// Tools are the programs that every ground has. They come from Debian's
// packages e2fsprogs, xfsprogs, btrfs-progs, dosfstools and busybox-static.
var Tools = []string{"mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat", "btrfs", "busybox"}

// Main runs run, the tests of a package, inside a ground and returns its exit
// status. A process that is not root, or misses a tool, runs it where it is,
// and Need skips the tests that freeze; so does one that writes golden files
// or fuzzes.
func Main(run func() int, cfg Config) int {
	if os.Args[0] == diskName && len(os.Args) == 3 {
		return serveDisk(os.Args[1], os.Args[2])
	}
	switch os.Getenv(stageVariable) {
	case inside:
		return run()
	case supervisor:
		return supervise(cfg)
	}
	if Missing() != "" || slices.ContainsFunc(os.Args, stayOutside) {
		return run()
	}
	status, err := enter()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// stayOutside tells whether an argument asks for what would be lost with the
// ground, or cannot begin in it: golden files, and fuzzing, which starts the
// program again by its path outside.
func stayOutside(arg string) bool {
	return arg == "-update" || strings.HasPrefix(arg, "-test.fuzz=") || strings.HasPrefix(arg, "-test.fuzzworker")
}

// Inside tells whether the process runs in a ground.
func Inside() bool { return os.Getenv(stageVariable) == inside }

// Outside tells whether the process is the one that was started, which has
// not entered a ground.
func Outside() bool { return os.Getenv(stageVariable) == "" }

// Missing says what keeps a ground from being made here; "" is nothing.
func Missing() string {
	if os.Geteuid() != 0 {
		return "freezing needs root: run the tests as root"
	}
	for _, tool := range Tools {
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is missing: run .ci/setup tools"
		}
	}
	return ""
}

// Need skips the test outside a ground, and says what is missing. Where CI is
// set nothing is skipped: it fails.
func Need(t testing.TB) {
	t.Helper()
	if Inside() {
		return
	}
	missing := Missing()
	if missing != "" && os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip("not in a freezing ground: " + missing)
}

// enter starts the program again in namespaces of its own.
func enter() (int, error) {
	cmd := exec.Command("/proc/self/exe", arguments()...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVariable+"="+supervisor)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGTERM,
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("cannot make a freezing ground: %w", err)
	}
	go func() {
		for range signals {
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), nil
}

// arguments are the program's own, less the one that names a file of go test
// outside the ground.
func arguments() []string {
	var args []string
	for _, arg := range os.Args[1:] {
		if !strings.HasPrefix(arg, "-test.testlogfile=") && !strings.HasPrefix(arg, "-test.gocoverdir=") {
			args = append(args, arg)
		}
	}
	return args
}

// supervise is process 1 of the ground: it builds it, runs the program in it
// and clears up behind it.
func supervise(cfg Config) int {
	results, err := openResults(cfg.Results)
	if err == nil {
		err = build(cfg)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot make a freezing ground: %v\n", err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	cmd := exec.Command("/self", arguments()...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVariable+"="+inside, "PATH=/bin", "TMPDIR=/tmp", "HOME=/")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot run in the freezing ground: %v\n", err)
		return 1
	}
	go func() {
		<-signals
		clearUp()
		os.Exit(1)
	}()
	status := reap(cmd.Process.Pid)
	saveResults(results)
	clearUp()
	return status
}

// openResults opens the files outside that results go to, while they can
// still be reached: path inside -> file.
func openResults(paths map[string]string) (map[string]*os.File, error) {
	files := make(map[string]*os.File)
	for from, to := range paths {
		file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return nil, err
		}
		files[from] = file
	}
	return files, nil
}

// saveResults appends the results to their files.
func saveResults(files map[string]*os.File) {
	for from, file := range files {
		text, err := os.ReadFile(from)
		if err == nil {
			_, err = file.Write(text)
		}
		if err = errors.Join(err, file.Close()); err != nil {
			fmt.Fprintf(os.Stderr, "cannot save %s: %v\n", from, err)
		}
	}
}

// reap waits for every process of the ground, as process 1 must, until the
// program itself has ended.
func reap(pid int) int {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1
		case got == pid && status.Signaled():
			return 128 + int(status.Signal())
		case got == pid:
			return status.ExitStatus()
		}
	}
}
