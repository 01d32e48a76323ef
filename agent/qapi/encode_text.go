package qapi

import "unicode/utf8"

// textPiece is how much plain text is copied to the buffer at once.
const textPiece = 16 << 10

// appendText writes s as a JSON string in ASCII: printable characters as they
// are but for the quote and the backslash, all others as escapes, in UTF-16
// with upper-case digits; what is not modified UTF-8 as \uFFFD.
func appendText[T string | []byte](e *Encoder, s T) {
	e.buf = append(e.buf, '"')
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && i-start < textPiece && printable(s[i]) {
			i++
		}
		if i > start {
			e.buf = append(e.buf, s[start:i]...)
			e.spill()
			continue
		}
		// No character, and no fault, is longer than six bytes.
		var next [6]byte
		r, size := decodeRune(next[:copy(next[:], s[i:])])
		i += size
		if r < 0 {
			r = utf8.RuneError
		}
		e.escape(r)
	}
	e.raw(`"`)
}

func printable(c byte) bool { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\' }

// escape writes one character that has to be escaped.
func (e *Encoder) escape(r rune) {
	switch r {
	case '"', '\\':
		e.buf = append(e.buf, '\\', byte(r))
	case '\b':
		e.buf = append(e.buf, `\b`...)
	case '\f':
		e.buf = append(e.buf, `\f`...)
	case '\n':
		e.buf = append(e.buf, `\n`...)
	case '\r':
		e.buf = append(e.buf, `\r`...)
	case '\t':
		e.buf = append(e.buf, `\t`...)
	default:
		if r > 0xFFFF {
			r -= 0x10000
			e.unit(0xD800 + r>>10)
			r = 0xDC00 + r&0x3FF
		}
		e.unit(r)
	}
	e.spill()
}

// unit writes a UTF-16 code unit.
func (e *Encoder) unit(u rune) {
	const hex = "0123456789ABCDEF"
	e.buf = append(e.buf, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}
