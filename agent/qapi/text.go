package qapi

import "unicode/utf8"

// decodeRune reads one character of modified UTF-8: as UTF-8, but U+0000 is
// written C0 80, and the code points that stand for no character (surrogates,
// U+FDD0 to U+FDEF, the last two of each plane) do not occur. For anything
// malformed r is -1 and size the bytes that make one fault: a lead byte with
// as many continuation bytes as it asks for and gets. b must not be empty.
func decodeRune(b []byte) (r rune, size int) {
	c := b[0]
	switch {
	case c < utf8.RuneSelf:
		return rune(c), 1
	case c == 0xC0 && len(b) > 1 && b[1] == 0x80:
		return 0, 2
	case c < 0xC0 || c > 0xFD:
		return -1, 1
	}
	if r, size = utf8.DecodeRune(b); r != utf8.RuneError || size > 1 {
		if !isCharacter(r) {
			r = -1
		}
		return r, size
	}
	// The number of leading ones is the length the sequence claims, up to
	// six in the UTF-8 of old.
	want := 0
	for bit := byte(0x80); c&bit != 0; bit >>= 1 {
		want++
	}
	size = 1
	for size < want && size < len(b) && b[size]&0xC0 == 0x80 {
		size++
	}
	return -1, size
}

// isCharacter reports whether r may occur in text.
func isCharacter(r rune) bool {
	return utf8.ValidRune(r) && (r < 0xFDD0 || r > 0xFDEF) && r&0xFFFE != 0xFFFE
}

// appendRune appends r in modified UTF-8.
func appendRune(dst []byte, r rune) []byte {
	if r == 0 {
		return append(dst, 0xC0, 0x80)
	}
	return utf8.AppendRune(dst, r)
}

// resolve checks the inside of a string and resolves its escapes in place: no
// character is longer than its escape. It returns the length of the text, or
// what is wrong, in QEMU's words.
func resolve(b []byte) (n int, msg string) {
	done := b[:0]
	for len(b) > 0 {
		if b[0] != '\\' {
			r, size := decodeRune(b)
			if r < 0 {
				return 0, "invalid UTF-8 sequence in string"
			}
			done = append(done, b[:size]...)
			b = b[size:]
			continue
		}
		r, size := decodeEscape(b)
		if r < 0 {
			if b[1] == 'u' {
				return 0, string(b[:size]) + " is not a valid Unicode character"
			}
			return 0, "invalid escape sequence in string"
		}
		done = appendRune(done, r)
		b = b[size:]
	}
	return len(done), ""
}

// decodeEscape reads the escape that b starts with, for instance \n or
// \uD83D\uDE00, and returns the character and the length of the escape; r is
// -1 if there is no such escape or character. A backslash is never the last
// byte of a string.
func decodeEscape(b []byte) (r rune, size int) {
	switch c := b[1]; c {
	case '"', '\'', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return decodeUnicode(b)
	}
	return -1, 2
}

// decodeUnicode reads \uXXXX, or two of them that make a surrogate pair.
func decodeUnicode(b []byte) (r rune, size int) {
	r, size = hex4(b[2:]), min(6, len(b))
	if r >= 0xD800 && r < 0xDC00 && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if low := hex4(b[8:]); low >= 0xDC00 && low < 0xE000 {
			r, size = 0x10000+(r-0xD800)<<10+(low-0xDC00), 12
		}
	}
	if r < 0 || !isCharacter(r) {
		return -1, size
	}
	return r, size
}

// hex4 returns the number that the first four bytes spell, or -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
