package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// longestTimeout is the largest number of seconds a timeout may have: a day.
const longestTimeout = 86400

// value reads and shows the value of a setting.
type value interface {
	// set takes the text of the command line or the configuration file.
	// Lists grow with each set.
	set(text string) error
	// String is the text that set would take.
	String() string
}

type boolValue bool

func (v *boolValue) set(text string) error {
	switch strings.TrimRight(text, " \t\v\f\r\n") {
	case "true", "1":
		*v = true
	case "false", "0":
		*v = false
	default:
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return nil
}

func (v *boolValue) String() string { return strconv.FormatBool(bool(*v)) }

type stringValue string

func (v *stringValue) set(text string) error {
	*v = stringValue(text)
	return nil
}

func (v *stringValue) String() string { return string(*v) }

type listValue []string

func (v *listValue) set(text string) error {
	*v = append(*v, splitList(text)...)
	return nil
}

func (v *listValue) String() string { return strings.Join(*v, ",") }

// profilesValue is a list of profiles, judged when all of it is there. An
// empty one is no profile: it must not be taken for all commands.
type profilesValue []string

func (v *profilesValue) set(text string) error {
	names := splitList(text)
	if len(names) == 0 {
		names = []string{""}
	}
	*v = append(*v, names...)
	return nil
}

func (v *profilesValue) String() string { return strings.Join(*v, ",") }

type secondsValue time.Duration

func (v *secondsValue) set(text string) error {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil || n < 1 || n > longestTimeout {
		return fmt.Errorf("%q is not a number of seconds from 1 to %d", text, longestTimeout)
	}
	*v = secondsValue(time.Duration(n) * time.Second)
	return nil
}

func (v *secondsValue) String() string {
	return strconv.FormatInt(int64(time.Duration(*v)/time.Second), 10)
}

// waitValue is a number of seconds, or 0 for not at all.
type waitValue time.Duration

func (v *waitValue) set(text string) error {
	if strings.TrimSpace(text) == "0" {
		*v = 0
		return nil
	}
	return (*secondsValue)(v).set(text)
}

func (v *waitValue) String() string { return (*secondsValue)(v).String() }

// cidsValue is a list of vsock context IDs.
type cidsValue []uint32

func (v *cidsValue) set(text string) (err error) {
	*v, err = appendNumbers(*v, text, "a vsock CID: give numbers with commas between them, 2 is the host")
	return err
}

func (v *cidsValue) String() string { return joinNumbers(*v) }

// uidsValue is a list of users.
type uidsValue []uint32

func (v *uidsValue) set(text string) (err error) {
	*v, err = appendNumbers(*v, text, "a user ID: give numbers with commas between them")
	return err
}

func (v *uidsValue) String() string { return joinNumbers(*v) }

// appendNumbers appends a list's numbers; what says what each should be.
func appendNumbers(list []uint32, text, what string) ([]uint32, error) {
	for _, field := range splitList(text) {
		n, err := strconv.ParseUint(strings.TrimSpace(field), 10, 32)
		if err != nil {
			return list, fmt.Errorf("%q is not %s", field, what)
		}
		list = append(list, uint32(n))
	}
	return list, nil
}

func joinNumbers(list []uint32) string {
	var b strings.Builder
	for i, n := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(n), 10))
	}
	return b.String()
}
