package agent

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qemu-ga/agent/qapi"
)

// answered returns the reply that a host gets to a command, without a session
// around it.
func answered(t *testing.T, a *Agent, name, args string) string {
	t.Helper()
	request := `{"execute":"` + name + `"`
	if args != "" {
		request += `,"arguments":` + args
	}
	v, err := qapi.NewDecoder(strings.NewReader(request+"}"), qapi.Limits{}).Next()
	require.NoError(t, err)
	req, err := qapi.ParseRequest(v)
	require.NoError(t, err)
	var out bytes.Buffer
	enc := qapi.NewEncoder(&out)
	if ret, err := a.byName[name].call(a, t.Context(), req); err != nil {
		require.NoError(t, enc.Fail(req.ID, err))
	} else {
		require.NoError(t, enc.Return(req.ID, ret))
	}
	return strings.TrimSpace(out.String())
}
