package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParseRouteRefuses(t *testing.T) {
	for _, line := range []string{
		"", "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT",
		"eth0 00000000 010200C0 0003 0 0 0 00000000 0 0",
		"eth0 00000000 x 0003 0 0 0 00000000 0 0 0", "eth0 0 0 0003 0 0 99999999999999999999 0 0 0 0",
	} {
		_, ok := parseRoute4(line)
		require.False(t, ok, line)
	}
	zero := strings.Repeat("0", 32)
	for _, line := range []string{
		zero + " 81 " + zero + " 00 " + zero + " 0 0 0 0 lo", // longer than an address
		zero + " 00 00 00 " + zero + " 0 0 0 0 lo",
		zero + " 00 " + zero + " 00 " + zero + " 0 0 0 0",
	} {
		_, ok := parseRoute6(line)
		require.False(t, ok, line)
	}
}

func TestCPUStatsBeforeALineThatIsTooLong(t *testing.T) {
	got, err := parseCPUStats(strings.NewReader("cpu0 1 2 3 4\nintr " + strings.Repeat("0 ", 100_000)))
	require.NoError(t, err)
	require.Equal(t, []CPUStats{{0, []uint64{10, 20, 30, 40}}}, got)
}

func TestParseAdjtime(t *testing.T) {
	for text, want := range map[string]bool{
		"0.0 0 0.0\n0\nLOCAL\n": true, "0.0 0 0.0\n0\nUTC\n": false, "": false, "LOCAL": false, "\n\nLOCAL": true,
	} {
		require.Equal(t, want, parseAdjtime(strings.NewReader(text)), "%q", text)
	}
}

func TestRTCTime(t *testing.T) {
	now := time.Date(2026, time.February, 28, 23, 59, 58, 0, time.UTC)
	got, err := timeOfRTC(rtcTime(now))
	require.NoError(t, err)
	require.Equal(t, now, got)
	require.EqualValues(t, 126, rtcTime(now).Year)
	for _, bad := range []unix.RTCTime{{}, {Mday: 31, Mon: 1, Year: 100}, {Mday: 1, Hour: 24}, {Mday: 1, Sec: -1}} {
		_, err := timeOfRTC(&bad)
		require.Error(t, err, "%+v", bad)
	}
	// A clock that shows local time, as for Windows.
	c := &RTC{local: true, zone: func(time.Time) (string, int) { return "CET", 3600 }}
	require.Equal(t, now.Add(time.Hour), c.shown(now))
	c.local = false
	require.Equal(t, now, c.shown(now))
}

func TestNoClockBelowARoot(t *testing.T) {
	r := tree(t, map[string]string{"/dev/rtc": "not a clock", "/etc/adjtime": "0\n0\nLOCAL\n"})
	require.ErrorIs(t, r.SetClock(time.Now()), unix.EPERM)
	c, err := r.OpenRTC()
	require.NoError(t, err)
	defer c.Close()
	require.True(t, c.local)
	_, err = c.Read()
	require.ErrorIs(t, err, unix.ENOTTY)
	require.ErrorIs(t, c.Set(time.Now()), unix.ENOTTY)
	_, err = tree(t, nil).OpenRTC()
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestParseHealth(t *testing.T) {
	page := make([]byte, healthSize)
	page[0], page[3], page[4], page[5] = 1, 100, 10, 3
	binary.LittleEndian.PutUint16(page[1:], 323)
	binary.LittleEndian.PutUint64(page[32:], 7)
	binary.LittleEndian.PutUint64(page[32+9*16+8:], 9)
	require.Equal(t, &NVMeHealth{
		CriticalWarning: 1, Kelvin: 323, Spare: 100, SpareThreshold: 10, PercentUsed: 3,
		DataUnitsRead: Count128{Lo: 7}, ErrorLogEntries: Count128{Hi: 9},
	}, parseHealth(page))
	require.Nil(t, parseHealth(page[:100]))
	// NVM Express: page 2 (bits 0 to 7), retain asynchronous event (15), 127
	// words of 4 bytes and one (16 to 31).
	require.EqualValues(t, 0x007f8002, healthCommand().cdw10)
	require.Nil(t, Root("/").NVMeHealth("/dev/null"))
	require.Nil(t, Root("/").NVMeHealth("/dev/none"))
}

func TestLookupUser(t *testing.T) {
	r := tree(t, map[string]string{"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n+::::::\nbad:x:no:1::/:\n" +
		strings.Repeat("x", 200_000) + ":x:1:1::/:\njo:x:1000:1001:Jo,,,:/home/jo:/bin/sh"})
	t.Setenv("PATH", "/usr/bin")
	user, err := r.LookupUser(t.Context(), "jo")
	require.NoError(t, err)
	require.Equal(t, User{"jo", 1000, 1001, "/home/jo"}, user)
	for _, name := range []string{"", "bad", "+", "j", "1000"} {
		_, err := r.LookupUser(t.Context(), name)
		require.ErrorIs(t, err, ErrNoUser, name)
	}
	// Who is not in the file is asked for elsewhere, by name and not by number.
	program(t, r, "/usr/bin/getent", "#!/bin/sh\n[ \"$*\" = '-- passwd ann' ] || [ \"$3\" = 2000 ] || exit 2\necho ann:x:2000:2000::/net/ann:/bin/sh\n")
	user, err = r.LookupUser(t.Context(), "ann")
	require.NoError(t, err)
	require.Equal(t, User{"ann", 2000, 2000, "/net/ann"}, user)
	_, err = r.LookupUser(t.Context(), "2000")
	require.ErrorIs(t, err, ErrNoUser)
	// A directory service that does not answer.
	program(t, r, "/usr/bin/getent", "#!/bin/sh\nsleep 100 & wait\n")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = r.LookupUser(ctx, "ann")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNaturally(t *testing.T) {
	names := []string{"loop2", "loop10", "sda", "sdb", "sdaa", "vda", "vda2", "vda15", "nvme0n1"}
	for _, pair := range [][2]string{{"vda2", "vda15"}, {"loop2", "loop10"}, {"sdb", "sdaa"}, {"vda", "vda1"}} {
		require.Negative(t, naturally(pair[0], pair[1]), pair)
		require.Positive(t, naturally(pair[1], pair[0]), pair)
	}
	for _, n := range names {
		require.Zero(t, naturally(n, n))
	}
}

// An unused disk, and one without a node, are not told; a disk that lies on
// nothing says so.
func TestBlockDevicesWithoutSize(t *testing.T) {
	r := tree(t, map[string]string{
		"/sys/block/loop0/size": "0\n", "/sys/block/loop0/uevent": "DEVNAME=loop0\n",
		"/sys/block/vdb/size": "8\n", "/sys/block/vdb/uevent": "MAJOR=1\n",
		"/sys/block/dm-0/size": "8\n",
		"/sys/block/vdc/size":  "8\n", "/sys/block/vdc/uevent": "MAJOR=254\nMINOR=32\nDEVNAME=vdc\n",
	})
	require.NoError(t, os.Mkdir(filepath.Join(string(r), "/sys/block/vdc/slaves"), 0o755))
	got, err := r.BlockDevices()
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "/dev/vdc", got[0].Node)
	require.Equal(t, []string{}, got[0].Below)
}

func FuzzStats(f *testing.F) {
	f.Add([]byte("cpu0 1 2 3 4\n"))
	f.Add([]byte(" 254       0 vda 27212 4407 2082954 5720 121020 157313 4646864 58404 0 35684 67120\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = parseCPUStats(bytes.NewReader(data))
		_, _ = parseDiskStats(bytes.NewReader(data))
	})
}

func FuzzRoutes(f *testing.F) {
	f.Add("eth0\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t1460\t0\t0")
	f.Add(strings.Repeat("f", 32) + " 80 " + strings.Repeat("0", 32) + " 00 " + strings.Repeat("0", 32) + " 0 2 0 80200001 lo")
	f.Fuzz(func(t *testing.T, line string) {
		if r, ok := parseRoute4(line); ok {
			require.True(t, r.Destination.Addr().Is4())
		}
		if r, ok := parseRoute6(line); ok {
			require.True(t, r.Destination.IsValid() && r.Source.IsValid())
		}
	})
}

func FuzzUsers(f *testing.F) {
	f.Add([]byte("jo:x:1000:1001:Jo,,,:/home/jo:/bin/sh\n"), "jo")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		if user, ok := findUser(bytes.NewReader(data), name); ok {
			require.Equal(t, name, user.Name)
			require.NotEmpty(t, name)
		}
	})
}
