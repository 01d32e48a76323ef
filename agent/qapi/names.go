package qapi

import (
	"bytes"
	"hash/maphash"
)

// fewKeys is up to how many keys of an object are compared one by one.
const fewKeys = 16

// A nameSet finds keys that an object has twice. Objects with few keys are
// searched; the keys of larger ones are hashed, with a seed that no client
// knows, so that a request takes time in proportion to its length.
type nameSet struct {
	seed maphash.Seed
	seen map[uint64]uint32 // hash of object and key to the key on the tape
}

// repeated reports whether the key read last in the object f has been there
// before. v is all that was parsed so far.
func (s *nameSet) repeated(v Value, f frame) bool {
	if f.keys > fewKeys {
		if f.keys == fewKeys+1 {
			for i := f.open + 1; i < f.key; i += 1 + v.tape[i+1].span() {
				s.add(v, f.open, i)
			}
		}
		return s.add(v, f.open, f.key)
	}
	for i := f.open + 1; i < f.key; i += 1 + v.tape[i+1].span() {
		if v.equal(i, f.key) {
			return true
		}
	}
	return false
}

// add enters a key, and reports whether it is there already. Two keys of one
// hash by chance are not taken for equal.
func (s *nameSet) add(v Value, object, key uint32) bool {
	if s.seen == nil {
		s.seed = maphash.MakeSeed()
		s.seen = make(map[uint64]uint32)
	}
	var h maphash.Hash
	h.SetSeed(s.seed)
	h.Write([]byte{byte(object), byte(object >> 8), byte(object >> 16), byte(object >> 24)})
	h.Write(v.tape[key].bytes(v.text))
	sum := h.Sum64()
	if earlier, ok := s.seen[sum]; ok {
		return v.equal(earlier, key)
	}
	s.seen[sum] = key
	return false
}

// reset forgets all keys, and gives up the memory that a large value took.
func (s *nameSet) reset() { s.seen = nil }

// equal reports whether two entries of the tape are the same string.
func (v Value) equal(a, b uint32) bool {
	return bytes.Equal(v.tape[a].bytes(v.text), v.tape[b].bytes(v.text))
}
