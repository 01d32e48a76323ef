package guest

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"time"
)

// utmpLayout is the shape of a utmp(5) record. The C library fixed it per
// architecture: most keep the 32-bit times of their 32-bit brother.
type utmpLayout struct {
	size int
	// time is the offset of the login's seconds, which the microseconds
	// follow; width is the size of each.
	time, width int
}

var (
	utmpTime32 = utmpLayout{size: 384, time: 340, width: 4}
	utmpTime64 = utmpLayout{size: 400, time: 344, width: 8}
)

func nativeUtmp() utmpLayout {
	switch runtime.GOARCH {
	case "arm64", "loong64":
		return utmpTime64
	}
	return utmpTime32
}

// maxUtmp bounds how much of the file is read, in bytes: it belongs to a group
// of its own in many guests, whose programs could make it as long as a disk.
const maxUtmp = 16 << 20

// Offsets that all layouts share.
const (
	utmpUser    = 44
	utmpUserLen = 32
	// userProcess is the ut_type of a login.
	userProcess = 7
)

// parseUtmp reads utmp's records in the machine's byte order and returns the
// logins among them and how many records there were of any kind. A record cut
// short ends the list, as it does while one is being written, and so does the
// bound.
//
//	07 00 00 00 | pid 4 | line 32 | id 4 | user 32 | host 256 | exit 4 | session | seconds, microseconds | ...
func parseUtmp(r io.Reader, layout utmpLayout) (logins []Login, records int) {
	r = io.LimitReader(r, maxUtmp)
	rec := make([]byte, layout.size)
	for {
		if _, err := io.ReadFull(r, rec); err != nil {
			return logins, records
		}
		records++
		if binary.NativeEndian.Uint16(rec) != userProcess {
			continue
		}
		user, _, _ := bytes.Cut(rec[utmpUser:utmpUser+utmpUserLen], []byte{0})
		logins = append(logins, Login{User: string(user), Since: layout.loginTime(rec)})
	}
}

func (l utmpLayout) loginTime(rec []byte) time.Time {
	if l.width == 8 {
		return time.Unix(
			int64(binary.NativeEndian.Uint64(rec[l.time:])),
			int64(binary.NativeEndian.Uint64(rec[l.time+8:]))*1000)
	}
	return time.Unix(
		int64(int32(binary.NativeEndian.Uint32(rec[l.time:]))),
		int64(int32(binary.NativeEndian.Uint32(rec[l.time+4:])))*1000)
}
