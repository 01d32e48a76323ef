package guest

import (
	"slices"
	"strings"
	"time"
)

// Login is a user who is logged in, since the earliest of the user's logins
// that last.
type Login struct {
	User  string
	Since time.Time
}

// Logins returns the users who are logged in, each once, in the order in which
// they first appear. The source is utmp; on a guest that keeps none any more
// (musl always, systemd since the year 2038 came in sight) logind's sessions.
// A guest without either has no logins to tell.
func (r Root) Logins() []Login {
	if f, err := r.Open("/var/run/utmp"); err == nil {
		defer func() { _ = f.Close() }()
		// systemd and every init that keeps utmp writes a boot record first,
		// so an empty file is one that nobody keeps.
		if logins, records := parseUtmp(f, nativeUtmp()); records > 0 {
			return earliest(logins)
		}
	}
	return earliest(r.logindSessions())
}

// earliest keeps each user's earliest login, in the place of the first.
func earliest(logins []Login) []Login {
	place := map[string]int{}
	out := logins[:0:0]
	for _, l := range logins {
		i, seen := place[l.User]
		switch {
		case !seen:
			place[l.User] = len(out)
			out = append(out, l)
		case l.Since.Before(out[i].Since):
			out[i].Since = l.Since
		}
	}
	return out
}

const logindDir = "/run/systemd/sessions"

// logindSessions reads the sessions that are of people, the earliest first.
func (r Root) logindSessions() []Login {
	entries, err := r.ReadDir(logindDir)
	if err != nil {
		return nil
	}
	var logins []Login
	for _, e := range entries {
		if !e.Type().IsRegular() { // ID.ref is a FIFO
			continue
		}
		f, err := r.Open(logindDir + "/" + e.Name())
		if err != nil {
			continue
		}
		vars := parseProperties(f)
		_ = f.Close()
		if l, ok := sessionLogin(vars); ok {
			logins = append(logins, l)
		}
	}
	slices.SortStableFunc(logins, func(a, b Login) int { return a.Since.Compare(b.Since) })
	return logins
}

// sessionLogin makes a login of a session's variables. Greeters, lock screens
// and cron jobs are sessions too, but nobody has logged in there.
func sessionLogin(vars map[string]string) (Login, bool) {
	class := vars["CLASS"]
	person := class == "user" || strings.HasPrefix(class, "user-")
	since, ok := parseMicros(vars["REALTIME"])
	if !person || !ok || vars["USER"] == "" || vars["STATE"] == "closing" {
		return Login{}, false
	}
	return Login{User: vars["USER"], Since: since}, true
}
