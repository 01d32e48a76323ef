package guest

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// utmpRecord makes one record.
func utmpRecord(layout utmpLayout, kind uint16, user string, sec, usec int64) []byte {
	rec := make([]byte, layout.size)
	binary.NativeEndian.PutUint16(rec, kind)
	copy(rec[utmpUser:utmpUser+utmpUserLen], user)
	copy(rec[utmpUser+utmpUserLen:], "192.0.2.1") // the host, right behind a long name
	if layout.width == 8 {
		binary.NativeEndian.PutUint64(rec[layout.time:], uint64(sec))
		binary.NativeEndian.PutUint64(rec[layout.time+8:], uint64(usec))
	} else {
		binary.NativeEndian.PutUint32(rec[layout.time:], uint32(sec))
		binary.NativeEndian.PutUint32(rec[layout.time+4:], uint32(usec))
	}
	return rec
}

func TestParseUtmp(t *testing.T) {
	const long = "abcdefghijklmnopqrstuvwxyz012345"
	for _, layout := range []utmpLayout{utmpTime32, utmpTime64} {
		file := bytes.Join([][]byte{
			utmpRecord(layout, 2, "reboot", 1, 0),
			utmpRecord(layout, userProcess, "alice", 1700000100, 250000),
			utmpRecord(layout, 6, "LOGIN", 2, 0),
			utmpRecord(layout, userProcess, long, 1700000000, 1),
			utmpRecord(layout, 8, "gone", 3, 0),
			utmpRecord(layout, userProcess, "cut short", 4, 0)[:100],
		}, nil)
		logins, records := parseUtmp(bytes.NewReader(file), layout)
		require.Equal(t, 5, records)
		require.Equal(t, []Login{
			{"alice", time.Unix(1700000100, 250000000)},
			{long, time.Unix(1700000000, 1000)},
		}, logins)
	}
}

func TestLoginsKeepsTheEarliestInTheFirstPlace(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	got := earliest([]Login{{"a", at(5)}, {"b", at(1)}, {"a", at(3)}, {"a", at(9)}})
	require.Equal(t, []Login{{"a", at(3)}, {"b", at(1)}}, got)
}

func TestLoginsAsksLogindOnlyWithoutUtmp(t *testing.T) {
	files := map[string]string{
		"/run/systemd/sessions/1": "USER=alice\nCLASS=user\nSTATE=active\nREALTIME=1700000000000001\n",
		"/run/systemd/sessions/2": "USER=bob\nCLASS=user-early\nREALTIME=1600000000000000\n",
		"/run/systemd/sessions/3": "USER=gdm\nCLASS=greeter\nREALTIME=1500000000000000\n",
		"/run/systemd/sessions/4": "USER=carol\nCLASS=user\nREALTIME=soon\n",
		"/run/systemd/sessions/5": "USER=dave\nCLASS=user\nSTATE=closing\nREALTIME=1500000000000000\n",
		"/var/run":                "->/run",
	}
	fromLogind := []Login{{"bob", time.Unix(1600000000, 0)}, {"alice", time.Unix(1700000000, 1000)}}
	r := tree(t, files)
	require.NoError(t, unix.Mkfifo(filepath.Join(string(r), "/run/systemd/sessions/1.ref"), 0o600))
	require.Equal(t, fromLogind, r.Logins())

	utmp := filepath.Join(string(r), "/run/utmp")
	require.NoError(t, os.WriteFile(utmp, nil, 0o644)) // kept by nobody
	require.Equal(t, fromLogind, r.Logins())

	boot := utmpRecord(nativeUtmp(), 2, "reboot", 1, 0)
	require.NoError(t, os.WriteFile(utmp, boot, 0o644)) // kept, and nobody is logged in
	require.Empty(t, r.Logins())

	require.Empty(t, Root(t.TempDir()).Logins())
}

func FuzzParseUtmp(f *testing.F) {
	f.Add(utmpRecord(utmpTime32, userProcess, "alice", 1700000100, 5), false)
	f.Add(utmpRecord(utmpTime64, userProcess, "alice", -1, -1), true)
	f.Fuzz(func(t *testing.T, file []byte, wide bool) {
		layout := utmpTime32
		if wide {
			layout = utmpTime64
		}
		logins, records := parseUtmp(bytes.NewReader(file), layout)
		require.Equal(t, len(file)/layout.size, records)
		require.LessOrEqual(t, len(logins), records)
		require.LessOrEqual(t, len(earliest(logins)), len(logins))
	})
}

// endless is a utmp in which somebody logs in for ever.
type endless struct{ record []byte }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.record), nil }

func TestUtmpIsBounded(t *testing.T) {
	logins, records := parseUtmp(endless{utmpRecord(utmpTime32, userProcess, "alice", 1, 0)}, utmpTime32)
	require.Equal(t, maxUtmp/utmpTime32.size, records)
	require.Len(t, logins, records)
}
