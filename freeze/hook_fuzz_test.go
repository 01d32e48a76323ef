package freeze

import (
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzHookOutput has a hook write whatever the fuzzer likes, in two pieces,
// and fail: its error and the report stay small and can be told to a host.
func FuzzHookOutput(f *testing.F) {
	f.Add([]byte("cannot lock tables: try again\n"), []byte{}, "/etc/qemu/fsfreeze-hook")
	f.Add([]byte("\x00\xff\xfe\x1b[31m"), make([]byte, 3*tailSize), "")
	f.Add(make([]byte, tailSize-1), []byte("end"), "%s%n")
	failed := exec.Command("/bin/false").Run() // as a hook does
	require.Error(f, failed)
	f.Fuzz(func(t *testing.T, first, second []byte, program string) {
		out := &tail{}
		for _, piece := range [][]byte{first, second} {
			n, err := out.Write(piece)
			require.NoError(t, err)
			require.Equal(t, len(piece), n)
		}
		require.LessOrEqual(t, len(out.raw()), tailSize)
		all := string(first) + string(second)
		require.Equal(t, all[max(0, len(all)-tailSize):], out.raw(), "the end of it")
		err := hookError(t.Context(), failed, program, time.Second, out)
		require.Error(t, err)
		require.LessOrEqual(t, len(err.Error()), tailSize+len(program)+100)
		_, err = json.Marshal(HookRun{Program: program, Error: err.Error(), Output: out.String()})
		require.NoError(t, err)
	})
}
