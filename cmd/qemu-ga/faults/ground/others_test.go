package ground_test

import (
	"os/exec"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/freeze/freezetest"
)

// othersFaults are other programs that freeze, thaw and unmount.
var othersFaults = []fault{
	{
		name: "frozen by others", did: "somebody else (LVM, fsfreeze) has frozen one of two before; freeze, thaw", limit: watchTime,
		do: func(s *scene) string {
			require.NoError(s, freezetest.Freeze("/mnt/a"))
			answer := s.ask("freeze", doFreeze)
			s.reports(`"frozen-by-others"`)
			answer = join(answer, s.ask("thaw", doThaw))
			if freezetest.Writable("/mnt/a", blocked) {
				answer = join(answer, "the other's freeze is undone")
			} else {
				answer = join(answer, "the other's freeze holds")
				require.NoError(s, freezetest.Thaw("/mnt/a"))
			}
			s.forget("/mnt/a")
			return answer
		},
		told: "freeze: 1; thaw: 1; the other's freeze holds",
	},
	{
		name: "frozen by others, then everything killed", did: "the same, SIGKILL to all processes while frozen; restart", limit: watchTime,
		omit: "thaws what others froze, as above",
		do: func(s *scene) string {
			require.NoError(s, freezetest.Freeze("/mnt/a"))
			require.Equal(s, "1", s.host.ask(doFreeze))
			s.stopped()
			s.killAll()
			s.restart()
			answer := join(s.status()+s.ask("thaw", doThaw), "the other's freeze holds")
			require.False(s, freezetest.Writable("/mnt/a", blocked))
			require.NoError(s, freezetest.Thaw("/mnt/a"))
			s.forget("/mnt/a")
			return answer
		},
		told: limited("the life of the agent, which was restarted"),
	},
	{
		name: "thawed by others", did: "somebody else thaws one of two; then thaw", limit: watchTime,
		do: func(s *scene) string {
			s.freeze()
			require.NoError(s, freezetest.Thaw("/mnt/a"))
			return s.ask("thaw", doThaw)
		},
		told: "fsfreeze is limited to what nobody else thaws: another program had thawed /mnt/a before this request",
	},
	{
		name: "unmounted while frozen", did: "umount -l of one of two while frozen; thaw", limit: watchTime,
		do: func(s *scene) string {
			s.freeze()
			s.detach("/mnt/a")
			return s.ask("thaw", doThaw)
		},
		told: "thaw: 2",
	},
	{
		name: "unmounted while frozen, then everything killed", did: "umount -l of one of two while frozen; SIGKILL to all processes; restart",
		limit: watchTime, omit: "is one process: still frozen, as above",
		do: func(s *scene) string {
			s.freeze()
			require.NoError(s, unix.Unmount("/mnt/a", unix.MNT_DETACH))
			s.moved("/mnt/a")
			s.killAll()
			s.stopped()
			s.restart()
			s.settle()
			return s.status() + s.ask("thaw", doThaw)
		},
		told: limited("the life of the agent, which was restarted"),
	},
	{
		name: "unmounted just before", did: "umount -l of one of two by the hook; freeze, thaw", limit: watchTime,
		options: withHook, before: func(s *scene) { s.hook("[ $1 = thaw ] || umount -l /mnt/a") },
		do: func(s *scene) string {
			answer := s.ask("freeze", doFreeze)
			s.moved("/mnt/a")
			return join(answer, s.ask("thaw", doThaw))
		},
		told: "freeze: 2; thaw: 2",
	},
	{
		name: "permission daemon", did: "a fanotify daemon asks for every open(), and logs to a filesystem that is frozen", limit: watchTime,
		do: func(s *scene) string {
			stop := guardOpens(s, "/mnt/b")
			answer := s.ask("freeze", doFreeze)
			if s.agent.kind == ours {
				s.stopped()
			}
			answer = join(answer, s.ask("thaw", doThaw))
			s.settle()
			stop()
			return answer
		},
		told: "freeze: 2; thaw: 2",
	},
	{
		name: "mounts come and go", did: "20 freezes while another program mounts and unmounts all the time", limit: watchTime,
		do: func(s *scene) string {
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for {
					_ = exec.Command("busybox", "sh", "-c", "mkdir -p /mnt/bind; mount --bind /mnt/a /mnt/bind; umount /mnt/bind").Run()
					select {
					case <-stop:
						return
					default:
					}
				}
			}()
			answers := make(map[string]int)
			for range 20 {
				answers[join(s.askIn("freeze", doFreeze, soon), s.askIn("thaw", doThaw, soon))]++
			}
			close(stop)
			<-done
			if answers["freeze: 2; thaw: 2"] == 20 {
				return "freeze: 2; thaw: 2, every time"
			}
			for answer := range answers {
				if answer != "freeze: 2; thaw: 2" {
					return answer
				}
			}
			return ""
		},
		told: "every time",
	},
}

// forget takes a filesystem's standstill out of the account: others froze it.
func (s *scene) forget(dir string) {
	s.Helper()
	require.Eventually(s, func() bool { return s.probes[dir].waiting() < blocked }, soon, time.Millisecond)
	require.True(s, s.probes[dir].end(soon))
	delete(s.probes, dir)
}

// detach unmounts a filesystem that is in use.
func (s *scene) detach(dir string) {
	s.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(s, err)
	s.detached = append(s.detached, fd)
	require.NoError(s, unix.Unmount(dir, unix.MNT_DETACH))
	s.moved(dir)
}

// moved notes that a filesystem is no longer where it was.
func (s *scene) moved(dir string) {
	for i, d := range s.dirs {
		if d == dir {
			s.dirs = append(s.dirs[:i:i], s.dirs[i+1:]...)
			return
		}
	}
}
