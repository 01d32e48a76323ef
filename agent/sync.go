package agent

import "context"

// syncArgs are the arguments of guest-sync and guest-sync-delimited.
type syncArgs struct {
	// ID comes back as the answer, so that the client can tell it from
	// answers to requests before.
	ID int64 `json:"id"`
}

// syncID answers guest-sync and guest-sync-delimited. Returns the id, so that a
// client finds where the answers to its own requests begin. A command that is
// still running gets one second more; then its answer is dropped, and a freeze
// undone.
func syncID(_ *Agent, _ context.Context, args syncArgs) (int64, error) { return args.ID, nil }

// ping answers guest-ping. Does nothing: the agent is there.
func ping(*Agent, context.Context, noArgs) (empty, error) { return empty{}, nil }
