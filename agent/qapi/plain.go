package qapi

import "encoding/binary"

const (
	ones  = 0x0101010101010101 // 1 in each byte of a word
	highs = 0x80 * ones
)

// plain returns how many bytes at the start of b are text in a string with
// the given quote, and whether any of them is above 0x7F. The strings that
// matter are megabytes of Base64, so eight bytes are judged at once: as long
// as no byte has its high bit set, subtracting sets it in the lowest byte that
// is too small, and an exclusive or makes the bytes sought zero.
func plain(b []byte, quote byte) (n int, high bool) {
	quotes := ones * uint64(quote)
	for n < len(b) {
		for len(b)-n >= 8 {
			w := binary.LittleEndian.Uint64(b[n:])
			if (w|(w-0x20*ones)|(w^quotes-ones)|(w^'\\'*ones-ones))&highs != 0 {
				break
			}
			n += 8
		}
		for _, c := range b[n:min(n+8, len(b))] {
			if c == quote || c == '\\' || c < 0x20 || c >= 0xFE {
				return n, high
			}
			high = high || c >= 0x80
			n++
		}
	}
	return n, high
}
