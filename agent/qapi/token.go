package qapi

// A token is one entry of the tape, the compact form of a parsed value: each
// scalar, each key and each opening bracket has one; punctuation has none.
// Keys stand before their values. At 12 bytes an entry, and two characters at
// least for each, the tape of a request within the limits stays below 13 MB.
type token struct {
	pos   uint32 // of the text of a string or number
	n     uint32 // bytes of that text; of a container: entries, itself included
	kind  Kind
	flags uint8
}

// Flags of a token.
const (
	truth    = 1 << iota // boolean: true
	integral             // number: written without fraction and exponent
	decoded              // string: the text was Base64 and is now the bytes
)

// span returns how many tape entries the value starting with t takes.
func (t token) span() uint32 {
	if t.kind == Array || t.kind == Object {
		return t.n
	}
	return 1
}

// bytes returns the text of t.
func (t token) bytes(text []byte) []byte { return text[t.pos : t.pos+t.n] }

// is reports whether t is the string s.
func (t token) is(text []byte, s string) bool { return string(t.bytes(text)) == s }
