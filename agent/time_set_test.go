package agent

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qemu-ga/agent/guest"
)

// fakeClocks stands for the guest's clocks. No test sets the machine's.
type fakeClocks struct {
	system, rtc                 time.Time
	setFails, openFails, rtcErr error
	closed                      int
}

func (f *fakeClocks) Read() (time.Time, error) { return f.rtc, f.rtcErr }

func (f *fakeClocks) Set(t time.Time) error {
	f.rtc = t
	return f.rtcErr
}

func (f *fakeClocks) Close() error {
	f.closed++
	return nil
}

func clockAgent(t *testing.T, f *fakeClocks) *Agent {
	t.Helper()
	a := New(Config{Root: guest.Root(t.TempDir())})
	a.clocks = clocks{
		set: func(t time.Time) error {
			if f.setFails == nil {
				f.system = t
			}
			return f.setFails
		},
		openRTC: func() (hardwareClock, error) { return f, f.openFails },
	}
	return a
}

func TestSetTime(t *testing.T) {
	for _, c := range []struct {
		in   int64
		want time.Time
	}{
		{1_700_000_000_123_456_789, time.UnixMicro(1_700_000_000_123_456)},
		{0, time.Unix(0, 0)},
		{-1, time.Unix(0, 0)},
		{3155759999999999999, time.UnixMicro(3155759999999999)},
	} {
		f := &fakeClocks{}
		_, err := clockAgent(t, f).setTime(t.Context(), setTimeArgs{&c.in})
		require.NoError(t, err)
		require.Equal(t, c.want, f.system)
		require.Equal(t, c.want, f.rtc)
		require.Equal(t, 1, f.closed)
	}
	for _, bad := range []int64{-1_000_000_000, 3155760000000000000, -1 << 63, 1<<63 - 1} {
		f := &fakeClocks{}
		_, err := clockAgent(t, f).setTime(t.Context(), setTimeArgs{&bad})
		require.EqualError(t, err, "Invalid time")
		require.Zero(t, f.system)
	}
}

func TestSetTimeByTheHardwareClock(t *testing.T) {
	f := &fakeClocks{rtc: time.Unix(1_700_000_000, 0)}
	a := clockAgent(t, f)
	require.JSONEq(t, `{"return": {}}`, answered(t, a, "guest-set-time", ""))
	require.Equal(t, f.rtc, f.system)
	require.Equal(t, 1, f.closed)
}

func TestSetTimeErrors(t *testing.T) {
	now := time.Now().UnixNano()
	for _, c := range []struct {
		f    fakeClocks
		time *int64
		want string
	}{
		{fakeClocks{setFails: unix.EPERM}, &now, "Failed to set time to guest: Operation not permitted"},
		{fakeClocks{setFails: unix.EPERM}, nil, "Failed to set time to guest: Operation not permitted"},
		{fakeClocks{openFails: fs.ErrNotExist}, &now, ""}, // a guest without one has its time set
		{fakeClocks{openFails: fs.ErrNotExist}, nil, "cannot read the hardware clock: File does not exist"},
		{fakeClocks{openFails: unix.EBUSY}, &now, "cannot set the hardware clock: Device or resource busy"},
		{fakeClocks{rtcErr: unix.EIO}, &now, "cannot set the hardware clock: Input/output error"},
		{fakeClocks{rtcErr: errors.New("it shows no valid time")}, nil, "cannot read the hardware clock: It shows no valid time"},
	} {
		_, err := clockAgent(t, &c.f).setTime(t.Context(), setTimeArgs{c.time})
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, c.want)
	}
}

// The clock of a captured guest is nobody's.
func TestSetTimeOfACapturedGuest(t *testing.T) {
	now := time.Now().UnixNano()
	_, err := captured(t, "alpine-minimal").setTime(t.Context(), setTimeArgs{&now})
	require.EqualError(t, err, "Failed to set time to guest: Operation not permitted")
}
