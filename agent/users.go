package agent

import "context"

// user is a member of the answer to guest-get-users.
type user struct {
	// User is the user's name.
	User string `json:"user"`
	// LoginTime is the earliest login that lasts, in seconds since the epoch.
	LoginTime float64 `json:"login-time"`
}

// users answers guest-get-users. Lists who is logged in, each once.
func (a *Agent) users(context.Context, noArgs) ([]user, error) {
	logins := a.root.Logins()
	users := make([]user, 0, len(logins))
	for _, l := range logins {
		seconds := float64(l.Since.Unix()) + float64(l.Since.Nanosecond()/1000)/1e6
		users = append(users, user{User: l.User, LoginTime: seconds})
	}
	return users, nil
}
