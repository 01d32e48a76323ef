package channel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// awaitDevice opens a device as soon as that is possible. It sleeps until the
// kernel tells of a change in the directories where the device will appear.
// Only while the device is there and will not open does it try by the clock;
// and for some seconds where a port is new, as nothing tells of its name.
func awaitDevice(ctx context.Context, cfg Config) (*device, error) {
	said := unix.ENOENT.Error() // what is usual is not worth a line
	var looks pause
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// Watched first and tried then, so that no change is missed.
		w, watchErr := watchChannel(cfg)
		dev, err := cfg.open()
		if err == nil {
			w.close()
			return dev, nil
		}
		if text := err.Error(); text != said {
			cfg.Log.Warn(openAdvice(cfg, err).Error())
			said = text
		}
		if watchErr != nil {
			cfg.Log.Debug(fmt.Sprintf("cannot watch for %s: %v", cfg.Path, watchErr))
			err = sleep(ctx, longestPause)
		} else {
			limit := retryAfter(err)
			if limit == 0 && looks.next < longestPause && cfg.nameless() {
				limit = looks.grow()
			}
			var changed bool
			if changed, err = w.wait(ctx, limit); changed {
				looks.reset()
			}
		}
		w.close()
		if err != nil {
			return nil, err
		}
	}
}

// retryAfter says when to try again a device that did not open with err,
// should the kernel not tell of any change before; 0 is never.
func retryAfter(err error) time.Duration {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return 0
	}
	return longestPause
}
