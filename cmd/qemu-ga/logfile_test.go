package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// disk is a log disk that can hang.
type disk struct {
	mu   sync.Mutex
	text strings.Builder
	hung chan struct{} // not nil: writes wait for its closing
}

func (d *disk) Write(p []byte) (int, error) {
	if d.hung != nil {
		<-d.hung
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *disk) Close() error { return nil }

func (d *disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

func TestLogLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where time begins with the year 2000
		var d disk
		l := newLogFile(&d, false)
		log := l.logger(false)
		log.Info("not told")
		log.Warn("one", "key", "a b", slog.Group("g", "n", 1))
		log.With("conn", 3).WithGroup("x").Error("two", "y", time.Second)
		log.Log(t.Context(), levelError, "three\nforged\x1b[2J")
		l.logger(true).Info("four")
		l.logger(true).Debug("five", "", slog.GroupValue(slog.Int("m", 5)))
		l.logger(true).Log(t.Context(), levelMessage, "six")
		l.Close()
		require.Equal(t, strings.Join([]string{
			"946684800.000000: warning: one key=a b g.n=1",
			"946684800.000000: critical: two conn=3 x.y=1s",
			`946684800.000000: error: three\nforged\x1b[2J`,
			"946684800.000000: info: four",
			"946684800.000000: debug: five m=5",
			"946684800.000000: message: six",
			"",
		}, "\n"), d.String())
		log.Error("too late")
	})
}

func TestLogToTheJournal(t *testing.T) {
	var d disk
	l := newLogFile(&d, true)
	log := l.logger(true)
	log.Error("a")
	log.Warn("b")
	log.Info("c")
	log.Debug("d")
	l.Close()
	require.Equal(t, "<3>a\n<4>b\n<6>c\n<7>d\n", d.String())

	f, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer f.Close()
	st, err := f.Stat()
	require.NoError(t, err)
	sys := st.Sys().(*syscall.Stat_t)
	stream := strconv.FormatUint(sys.Dev, 10) + ":" + strconv.FormatUint(sys.Ino, 10)
	require.True(t, journalStream(f, stream))
	require.False(t, journalStream(f, stream+"0"))
	require.False(t, journalStream(f, ""))
}

func TestLogHeldWhileFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disk
		l := newLogFile(&d, true)
		log := l.logger(false)
		log.Warn("before")
		synctest.Wait()
		require.Equal(t, "<4>before\n", d.String())
		l.Hold()
		for i := range maxLogLines + 5 {
			log.Warn(fmt.Sprint(i))
		}
		synctest.Wait()
		require.Equal(t, "<4>before\n", d.String())
		l.Release()
		synctest.Wait()
		lines := strings.Split(d.String(), "\n")
		require.Len(t, lines, 1+maxLogLines+2)
		require.Equal(t, "<4>0", lines[1])
		require.Equal(t, "<4>5 lines of the log were dropped", lines[maxLogLines+1])
		log.Warn("after")
		synctest.Wait()
		require.True(t, strings.HasSuffix(d.String(), "<4>after\n"))
		l.Hold()
		log.Warn("last")
		l.Close()
		require.True(t, strings.HasSuffix(d.String(), "<4>last\n"))
	})
}

func TestLogDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk{hung: make(chan struct{})}
		l := newLogFile(&d, true)
		log := l.logger(false)
		for range 3 * maxLogLines {
			log.Error(strings.Repeat("x", 2*maxLogLine)) // never blocks
		}
		begin := time.Now()
		l.Close()
		require.Equal(t, closeTimeout, time.Since(begin))
		close(d.hung)
		<-l.done
		require.Less(t, len(d.String()), (maxLogLines+2)*(maxLogLine+10)*2)
		require.Contains(t, d.String(), "lines of the log were dropped")
	})
}

func TestOpenLogAppends(t *testing.T) {
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "log")
	for range 2 {
		l, err := openLog(path, false, noConfig)
		require.NoError(t, err)
		l.logger(false).Error("x")
		l.Close()
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(data), ": critical: x\n"))
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode())
}
