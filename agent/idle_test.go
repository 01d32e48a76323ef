package agent

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		i := idle{do: func() { calls.Add(1) }, begun: time.Now()}
		for range 10 {
			i.touch()
			time.Sleep(idleDelay - time.Millisecond)
			synctest.Wait()
			require.Zero(t, calls.Load(), "it is asked again and again")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, 1, calls.Load(), "once, and no timer is left")
		i.touch()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, 2, calls.Load())
	})
}
