package qapi

// Base64 is a byte string that travels as Base64 text. A decoded one is the
// request's own memory, in place of the text, and is the handler's to keep.
type Base64 []byte

// Values of base64Rank beside the digits 0 to 63.
const (
	rankPad     = 0x40 // counts as 0
	rankNewline = 0x80
	rankBad     = 0xFF
)

// base64Rank gives each byte its value as a digit.
var base64Rank = func() (rank [256]byte) {
	for i := range rank {
		rank[i] = rankBad
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range len(digits) {
		rank[digits[i]] = byte(i)
	}
	rank['='] = rankPad
	rank['\n'] = rankNewline
	return rank
}()

// decodeBase64 decodes b in place and returns the bytes, or ok false, and b
// as it was, if b holds a character that is none of Base64's. It is as lenient
// as the C library that qemu-ga uses: newlines are skipped, an incomplete last
// group is dropped, and '=' is a digit 0 that may stand anywhere; as third or
// fourth of its group it takes away the second or third byte. So AA=A is two
// bytes and AA==AA== is two.
func decodeBase64(b []byte) (data []byte, ok bool) {
	for _, c := range b {
		if base64Rank[c] == rankBad {
			return nil, false
		}
	}
	n := 0 // written, at most three quarters of what was read
	var group [4]byte
	have := 0
	for i := 0; i < len(b); i++ {
		if have == 0 {
			var groups int
			groups, n = decodeGroups(b, i, n)
			if i += 4 * groups; i == len(b) {
				break
			}
		}
		if b[i] == '\n' {
			continue
		}
		group[have] = b[i]
		if have++; have < len(group) {
			continue
		}
		have = 0
		v := bits(base64Rank[group[0]], base64Rank[group[1]], base64Rank[group[2]], base64Rank[group[3]])
		b[n] = byte(v >> 16)
		n++
		if group[2] != '=' {
			b[n] = byte(v >> 8)
			n++
		}
		if group[3] != '=' {
			b[n] = byte(v)
			n++
		}
	}
	return b[:n:n], true
}

// decodeGroups decodes groups of four digits from b[i] on to b[n] on, up to
// the first that is not so plain.
func decodeGroups(b []byte, i, n int) (groups, written int) {
	for ; i+4 <= len(b); i += 4 {
		in := b[i : i+4 : i+4]
		r0, r1, r2, r3 := base64Rank[in[0]], base64Rank[in[1]], base64Rank[in[2]], base64Rank[in[3]]
		if r0|r1|r2|r3 >= rankPad {
			break
		}
		v := bits(r0, r1, r2, r3)
		out := b[n : n+3 : n+3]
		out[0], out[1], out[2] = byte(v>>16), byte(v>>8), byte(v)
		n += 3
		groups++
	}
	return groups, n
}

// bits joins four digits to 24 bits.
func bits(r0, r1, r2, r3 byte) uint32 {
	const digit = 0x3F
	return uint32(r0&digit)<<18 | uint32(r1&digit)<<12 | uint32(r2&digit)<<6 | uint32(r3&digit)
}
