package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"qemu-ga/agent/guest"
)

// setTimeArgs are the arguments of guest-set-time.
type setTimeArgs struct {
	// Time is the new time in nanoseconds since the epoch; if missing, that
	// of the hardware clock.
	Time *int64 `json:"time,omitzero"`
}

// timezone is the answer to guest-get-timezone.
type timezone struct {
	// Zone is the abbreviation of the local time zone: "CEST".
	Zone string `json:"zone,omitzero"`
	// Offset is how many seconds the zone is east of UTC now.
	Offset int `json:"offset"`
}

// clocks are the guest's two clocks.
type clocks struct {
	// set sets the system's clock.
	set func(time.Time) error
	// openRTC opens the hardware clock.
	openRTC func() (hardwareClock, error)
}

// hardwareClock is a guest.RTC.
type hardwareClock interface {
	Read() (time.Time, error)
	Set(t time.Time) error
	Close() error
}

func clocksOf(root guest.Root) clocks {
	return clocks{set: root.SetClock, openRTC: func() (hardwareClock, error) { return root.OpenRTC() }}
}

// getTime answers guest-get-time. Tells the time, in nanoseconds since the epoch
// and whole microseconds.
func (a *Agent) getTime(context.Context, noArgs) (int64, error) {
	return time.Now().UnixMicro() * 1000, nil
}

// setTime answers guest-set-time. Sets the guest's clock. A time that is given goes to the hardware
// clock as well; without one the system's clock is set by it.
func (a *Agent) setTime(ctx context.Context, args setTimeArgs) (empty, error) {
	if args.Time == nil {
		a.audit(ctx, "guest-set-time called")
		return empty{}, a.setTimeByRTC()
	}
	a.audit(ctx, "guest-set-time called, time: "+strconv.FormatInt(*args.Time, 10))
	t := time.UnixMicro(*args.Time / 1000)
	if *args.Time < 0 { // qemu-ga counts seconds and truncates them towards zero
		t = time.Unix(*args.Time/int64(time.Second), 0)
	}
	_, east := a.root.Zone(t)
	if year := t.UTC().Add(time.Duration(east) * time.Second).Year(); year < 1970 || year > 2069 {
		return empty{}, errors.New("Invalid time") //nolint:staticcheck // QEMU's words
	}
	if err := a.clocks.set(t); err != nil {
		return empty{}, setTimeError(err)
	}
	return empty{}, a.setRTC(t)
}

// setTimeByRTC sets the system's clock to the hardware clock's time.
func (a *Agent) setTimeByRTC() error {
	rtc, err := a.clocks.openRTC()
	if err != nil {
		return rtcError("read", err)
	}
	defer func() { _ = rtc.Close() }()
	t, err := rtc.Read()
	if err != nil {
		return rtcError("read", err)
	}
	if err := a.clocks.set(t); err != nil {
		return setTimeError(err)
	}
	return nil
}

// setRTC sets the hardware clock to the time t, which it is now. That a guest
// has none is no fault.
func (a *Agent) setRTC(t time.Time) error {
	rtc, err := a.clocks.openRTC()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return rtcError("set", err)
	}
	defer func() { _ = rtc.Close() }()
	if err := rtc.Set(t); err != nil {
		return rtcError("set", err)
	}
	return nil
}

func setTimeError(err error) error {
	return fmt.Errorf("Failed to set time to guest: %w", guest.Worded(err)) //nolint:staticcheck // QEMU's words
}

func rtcError(action string, err error) error {
	return fmt.Errorf("cannot %s the hardware clock: %w", action, guest.Worded(err))
}

// timezone answers guest-get-timezone. Tells the local time zone as it is now.
func (a *Agent) timezone(context.Context, noArgs) (timezone, error) {
	zone, offset := a.root.Zone(time.Now())
	return timezone{Zone: zone, Offset: offset}, nil
}
