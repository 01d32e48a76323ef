package qapi

import "bytes"

// maxMessage is how much QEMU tells of a fault, in bytes.
const maxMessage = 1023

// strayText describes a byte where no token allows it, with the token it ends.
func strayText(l *lexer) string {
	text := head(l.token())
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text = text[:i] // QEMU's strings end there
	}
	quote := ""
	if l.quote != 0 {
		quote = string(l.quote)
	}
	return "stray '" + quote + string(text) + "'"
}

// keyword returns what a word stands for.
func keyword(word []byte) (kind Kind, flags uint8, ok bool) {
	switch string(word) {
	case "true":
		return Bool, truth, true
	case "false":
		return Bool, 0, true
	case "null":
		return Null, 0, true
	}
	return Absent, 0, false
}

// head returns as much of a text as a message has room for.
func head(text []byte) []byte { return text[:min(len(text), maxMessage)] }
