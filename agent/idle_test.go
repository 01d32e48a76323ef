package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		i := idle{do: func() { calls++ }, begun: time.Now()}
		for range 10 {
			i.touch()
			time.Sleep(idleDelay - time.Millisecond)
			synctest.Wait()
			require.Zero(t, calls, "it is asked again and again")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, calls, "once, and no timer is left")
		i.touch()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 2, calls)
	})
}
