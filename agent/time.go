package agent

import (
	"context"
	"time"
)

// getTime answers guest-get-time: nanoseconds since the epoch. Hosts have
// always seen whole microseconds.
func (a *Agent) getTime(context.Context, noArgs) (int64, error) {
	return time.Now().UnixMicro() * 1000, nil
}

// timezone is the answer to guest-get-timezone.
type timezone struct {
	// Zone is the abbreviation of the local time zone: "CEST".
	Zone string `json:"zone,omitzero"`
	// Offset is how many seconds the zone is east of UTC now.
	Offset int `json:"offset"`
}

// timezone answers guest-get-timezone.
func (a *Agent) timezone(context.Context, noArgs) (timezone, error) {
	zone, offset := a.root.Zone(time.Now())
	return timezone{Zone: zone, Offset: offset}, nil
}
