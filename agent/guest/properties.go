package guest

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// parseProperties reads the plain assignments that logind's session files and
// the kernel's uevent files consist of; other lines are passed over:
//
//	DEVNAME=vda1
func parseProperties(r io.Reader) map[string]string {
	return prefixedProperties(r, "")
}

// parseUdevData reads the properties in a file of udev's database; the other
// kinds of lines (links, tags, times) are passed over:
//
//	S:disk/by-id/virtio-data0
//	E:ID_SERIAL=data0
func parseUdevData(r io.Reader) map[string]string {
	return prefixedProperties(r, "E:")
}

func prefixedProperties(r io.Reader, prefix string) map[string]string {
	vars := map[string]string{}
	data, err := io.ReadAll(r)
	if err != nil {
		return vars
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		line, ok := strings.CutPrefix(line, prefix)
		if !ok {
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && key != "" && key[0] != '#' {
			vars[key] = value
		}
	}
	return vars
}

// parseMicros reads a point in time as systemd writes it: microseconds since
// the epoch.
func parseMicros(s string) (time.Time, bool) {
	us, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.UnixMicro(us), true
}
