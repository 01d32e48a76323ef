package qapi_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

// serve answers a stream as an agent with three commands would, and returns
// the replies and the reader's error.
func serve(r io.Reader, lim qapi.Limits) (string, error) {
	var out bytes.Buffer
	d, e := qapi.NewDecoder(r, lim), qapi.NewEncoder(&out)
	for {
		v, err := d.Next()
		if fault := (*qapi.Error)(nil); errors.As(err, &fault) {
			e.Fail(qapi.Value{}, err)
			continue
		}
		if err != nil {
			return out.String(), err
		}
		req, err := qapi.ParseRequest(v)
		var ret any
		if err == nil {
			ret, err = call(e, req)
		}
		if err != nil {
			e.Fail(req.ID, err)
			continue
		}
		e.Return(req.ID, ret)
	}
}

func call(e *qapi.Encoder, req qapi.Request) (any, error) {
	var sync struct {
		ID int64 `json:"id"`
	}
	switch req.Name {
	case "guest-ping":
		return nil, req.Decode(&struct{}{})
	case "guest-sync", "guest-sync-delimited":
		err := req.Decode(&sync)
		if err == nil && req.Name == "guest-sync-delimited" {
			e.Mark()
		}
		return sync.ID, err
	case "guest-info":
		return nil, qapi.Disabled(req.Name)
	}
	return nil, qapi.NotFound(req.Name)
}

// replies serves a stream and returns the replies as lines.
func replies(t testing.TB, stream string) []string {
	t.Helper()
	out, err := serve(strings.NewReader(stream), qapi.Limits{})
	require.ErrorIs(t, err, io.EOF)
	return strings.SplitAfter(strings.TrimSuffix(out, "\n"), "\n")
}

func TestSession(t *testing.T) {
	require.Equal(t, []string{
		"{\"return\": {}, \"id\": [1, {\"a\": null}]}\n",
		"\xff{\"return\": 7}",
	}, replies(t, `{'execute':"guest-ping", "id":[1,{"a":null}]}
		{"execute":"guest-sync-delimited","arguments":{"id":7}}`))
}
