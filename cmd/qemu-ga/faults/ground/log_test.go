package ground_test

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze/freezetest"
)

// fullDir is where a filesystem without space is.
const fullDir = "/mnt/full"

// logFaults are places for logs and state that take no more.
var logFaults = []fault{
	{
		name: "log on a frozen filesystem", did: "`--logfile` and `--verbose` on a filesystem that is frozen",
		options: []string{"-v", "-l/mnt/b/log"}, limit: watchTime,
		do:   freezeBusily,
		told: "freeze: 2; status: frozen; thaw: 2",
	},
	{
		name: "state on a frozen filesystem", did: "`--statedir` on a filesystem that is frozen",
		options: []string{"-t/mnt/b"}, limit: watchTime,
		do:   freezeBusily,
		told: "freeze: 2; status: frozen; thaw: 2",
	},
	{
		name: "log's disk full", did: "`--logfile` and `--verbose` on a filesystem without space",
		options: []string{"-v", "-l" + fullDir + "/log"}, limit: watchTime,
		before: mountFull,
		do:     freezeBusily,
		told:   "freeze: 2; status: frozen; thaw: 2",
	},
	{
		name: "state's disk full", did: "`--statedir` on a filesystem without space",
		options: []string{"-t" + fullDir}, limit: watchTime,
		before: mountFull,
		do:     freezeBusily,
		told:   "freeze: 2; status: frozen; thaw: 2",
	},
	{
		name: "log's disk hangs", did: "`--logfile` and `--verbose` on a disk that stops; the filesystem is mounted with `sync` and excluded",
		options: []string{"-v", "-l" + hungDir + "/log"}, own: []string{"--fsfreeze-exclude=" + hungDir}, limit: watchTime,
		before: mountHungSync,
		do: func(s *scene) string {
			require.NoError(s, s.disk.Hang())
			return freezeBusily(s)
		},
		told: "freeze: 2; status: frozen; thaw: 2",
	},
	{
		name: "state's disk hangs", did: "the same for `--statedir`",
		options: []string{"-t" + hungDir}, own: []string{"--fsfreeze-exclude=" + hungDir}, limit: watchTime,
		before: mountHungSync,
		do: func(s *scene) string {
			require.NoError(s, s.disk.Hang())
			return freezeBusily(s)
		},
		told: "freeze: 2; status: frozen; thaw: 2",
	},
	{
		name: "state's disk frozen by others", did: "`--statedir` on a filesystem that somebody else freezes",
		options: []string{"-t" + hungDir}, own: []string{"--fsfreeze-exclude=" + hungDir}, limit: watchTime,
		before: (*scene).mountHung,
		do: func(s *scene) string {
			require.NoError(s, freezetest.Freeze(hungDir))
			answer := freezeBusily(s)
			require.NoError(s, freezetest.Thaw(hungDir))
			return answer
		},
		told: "freeze: 2; status: frozen; thaw: 2",
	},
	{
		name: "log while frozen", did: "`--logfile` and `--verbose`, and 50 pings while frozen", limit: watchTime,
		options: []string{"-v", "-l/tmp/log"},
		do: func(s *scene) string {
			s.freeze()
			before, err := os.Stat("/tmp/log")
			require.NoError(s, err)
			for range 50 {
				require.Equal(s, pingReply, s.host.ask(doPing))
			}
			after, err := os.Stat("/tmp/log")
			require.NoError(s, err)
			answer := "nothing is written"
			if after.Size() != before.Size() || after.ModTime() != before.ModTime() {
				answer = "it writes"
			}
			return join(answer, s.ask("thaw", doThaw))
		},
		told: "nothing is written; thaw: 2",
	},
	{
		name: "log that nobody reads", did: "standard error is a full pipe, as of a journal that hangs",
		options: []string{"-v"}, limit: watchTime,
		with: func(s *scene, cmd *exec.Cmd) {
			var pipe [2]int
			require.NoError(s, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
			s.Cleanup(func() { _ = unix.Close(pipe[0]) })
			require.NoError(s, unix.SetNonblock(pipe[1], true))
			for {
				if _, err := unix.Write(pipe[1], make([]byte, 4096)); err != nil {
					break // full
				}
			}
			require.NoError(s, unix.SetNonblock(pipe[1], false))
			cmd.Stderr = os.NewFile(uintptr(pipe[1]), "a pipe that nobody reads")
		},
		do:   freezeBusily,
		told: "freeze: 2; status: frozen; thaw: 2",
	},
}

// freezeBusily freezes and thaws with much to be logged meanwhile.
func freezeBusily(s *scene) string {
	s.Helper()
	var answer string
	for range 50 {
		if s.host.askFor(doPing, watchTime) != pingReply {
			return "no answer to a ping"
		}
	}
	answer = s.ask("freeze", doFreeze)
	for range 50 {
		if s.host.askFor(doPing, watchTime) != pingReply {
			return join(answer, "no answer to a ping")
		}
	}
	return join(answer, s.status()+s.ask("thaw", doThaw))
}

// mountHungSync is mountHung with a filesystem that waits for its disk at each
// write.
func mountHungSync(s *scene) {
	s.Helper()
	var err error
	s.disk, err = freezetest.MountOnDisk(freezetest.FS{Type: "ext4", Dir: hungDir, Flags: unix.MS_SYNCHRONOUS | unix.MS_DIRSYNC})
	require.NoError(s, err)
}

// mountFull mounts a small filesystem and fills it.
func mountFull(s *scene) {
	s.Helper()
	require.NoError(s, os.MkdirAll(fullDir, 0o755))
	require.NoError(s, unix.Mount("full", fullDir, "tmpfs", 0, "size=64k"))
	s.Cleanup(func() { require.NoError(s, unix.Unmount(fullDir, unix.MNT_DETACH)) })
	file, err := os.OpenFile(filepath.Join(fullDir, "ballast"), os.O_WRONLY|os.O_CREATE, 0o600)
	require.NoError(s, err)
	defer func() { _ = file.Close() }()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	require.ErrorIs(s, err, unix.ENOSPC)
}
