package qapi

// A Request is a command to be carried out.
type Request struct {
	Name string // as sent: case counts, nothing is trimmed
	ID   Value  // to be echoed in the reply; absent if the client sent none
	args Value  // an object, or absent
}

// ParseRequest checks the envelope, for instance
//
//	{"execute": "guest-sync", "arguments": {"id": 7}, "id": "x"}
//
// and leaves the command's name and arguments to be judged later. All errors
// are of class GenericError. On an error the Request still carries the ID, if
// the value was an object that has one.
func ParseRequest(v Value) (Request, error) {
	if v.Kind() != Object {
		return Request{}, Errorf("QMP input must be a JSON object")
	}
	r := Request{ID: v.member("id")}
	named := false
	for key, m := range v.members() {
		switch {
		case key.is(v.text, "id"):
		case key.is(v.text, "execute"):
			if r.Name, named = m.Text(); !named {
				return r, Errorf("QMP input member 'execute' must be a string")
			}
		case key.is(v.text, "arguments"):
			if m.Kind() != Object {
				return r, Errorf("QMP input member 'arguments' must be an object")
			}
			r.args = m
		default:
			return r, Errorf("QMP input member '%s' is unexpected", clip(string(key.bytes(v.text))))
		}
	}
	if !named {
		return r, Errorf("QMP input lacks member 'execute'")
	}
	return r, nil
}
