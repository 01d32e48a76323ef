package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// SetClock sets the system's clock. The clock of a root that is not the
// system's is none, so that no test can set that of the machine it runs on.
func (r Root) SetClock(t time.Time) error {
	if !r.isSystem() {
		return unix.EPERM
	}
	tv := unix.NsecToTimeval(t.UnixNano())
	return unix.Settimeofday(&tv)
}

const (
	// clockLimit is how long another program may have the hardware clock: the
	// kernel gives it to one at a time, and a guest that was asleep may have
	// more than one set it.
	clockLimit = 2 * time.Second
	clockRetry = 20 * time.Millisecond
)

// RTC is the guest's hardware clock. It knows whole seconds.
type RTC struct {
	dev   *os.File
	local bool // it shows local time and not UTC
	zone  func(time.Time) (string, int)
}

// OpenRTC opens the hardware clock. fs.ErrNotExist is the error on a guest
// that has none.
func (r Root) OpenRTC() (*RTC, error) {
	dev, err := r.openClock()
	for end := time.Now().Add(clockLimit); errors.Is(err, unix.EBUSY) && time.Now().Before(end); {
		time.Sleep(clockRetry)
		dev, err = r.openClock()
	}
	if err != nil {
		return nil, err
	}
	local := false
	if f, err := r.Open("/etc/adjtime"); err == nil {
		local = parseAdjtime(f)
		_ = f.Close()
	}
	return &RTC{dev: dev, local: local, zone: r.Zone}, nil
}

// openClock opens the device of the hardware clock.
func (r Root) openClock() (*os.File, error) {
	dev, err := r.Open("/dev/rtc0")
	if errors.Is(err, fs.ErrNotExist) {
		dev, err = r.Open("/dev/rtc")
	}
	return dev, err
}

// Close closes the clock's device.
func (c *RTC) Close() error { return c.dev.Close() }

// parseAdjtime tells from hwclock(8)'s file whether the hardware clock shows
// local time:
//
//	0.0 1700000000 0.0
//	1700000000
//	LOCAL
func parseAdjtime(rd io.Reader) bool {
	data, err := io.ReadAll(io.LimitReader(rd, 4096))
	lines := bytes.Split(data, []byte("\n"))
	return err == nil && len(lines) > 2 && string(bytes.TrimSpace(lines[2])) == "LOCAL"
}

// Set sets the hardware clock to the second that t is nearest to.
func (c *RTC) Set(t time.Time) error {
	return unix.IoctlSetRTCTime(int(c.dev.Fd()), rtcTime(c.shown(t.Add(time.Second/2))))
}

// Read returns the time. It waits for the clock to tick, so that the time is
// right when it returns, and not up to a second old.
func (c *RTC) Read() (time.Time, error) {
	first, err := c.second()
	if err != nil {
		return time.Time{}, err
	}
	for limit := time.Now().Add(1500 * time.Millisecond); ; time.Sleep(5 * time.Millisecond) {
		now, err := c.second()
		if err != nil || !now.Equal(first) || time.Now().After(limit) {
			return now, err
		}
	}
}

func (c *RTC) second() (time.Time, error) {
	shown, err := unix.IoctlGetRTCTime(int(c.dev.Fd()))
	if err != nil {
		return time.Time{}, err
	}
	t, err := timeOfRTC(shown)
	if err != nil || !c.local {
		return t, err
	}
	_, east := c.zone(t)
	_, east = c.zone(t.Add(-time.Duration(east) * time.Second)) // of the moment that is meant
	return t.Add(-time.Duration(east) * time.Second), nil
}

// shown returns t as the hardware clock shows it, in terms of UTC.
func (c *RTC) shown(t time.Time) time.Time {
	if !c.local {
		return t.UTC()
	}
	_, east := c.zone(t)
	return t.UTC().Add(time.Duration(east) * time.Second)
}

// rtcTime is t as the hardware clock takes it: a C struct tm.
func rtcTime(t time.Time) *unix.RTCTime {
	return &unix.RTCTime{
		Sec: int32(t.Second()), Min: int32(t.Minute()), Hour: int32(t.Hour()),
		Mday: int32(t.Day()), Mon: int32(t.Month()) - 1, Year: int32(t.Year()) - 1900,
	}
}

// timeOfRTC is the reverse of rtcTime. A clock without a battery may show
// what is no time at all.
func timeOfRTC(shown *unix.RTCTime) (time.Time, error) {
	t := time.Date(int(shown.Year)+1900, time.Month(shown.Mon)+1, int(shown.Mday),
		int(shown.Hour), int(shown.Min), int(shown.Sec), 0, time.UTC)
	if *rtcTime(t) != (unix.RTCTime{
		Sec: shown.Sec, Min: shown.Min, Hour: shown.Hour, Mday: shown.Mday, Mon: shown.Mon, Year: shown.Year,
	}) {
		return time.Time{}, fmt.Errorf("it shows no valid time: %+v", *shown)
	}
	return t, nil
}
