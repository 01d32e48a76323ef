package agent

import "context"

// syncArgs are the arguments of guest-sync and guest-sync-delimited.
type syncArgs struct {
	// ID comes back as the answer, so that the client can tell it from
	// answers to requests before.
	ID int64 `json:"id"`
}

// syncID answers guest-sync and guest-sync-delimited.
func syncID(_ *Agent, _ context.Context, args syncArgs) (int64, error) { return args.ID, nil }

// ping answers guest-ping.
func ping(*Agent, context.Context, noArgs) (empty, error) { return empty{}, nil }
