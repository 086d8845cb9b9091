package dataset

import (
	"encoding/binary"
	"math/bits"
)

// A memo numbers texts in the order in which they were added. Columns repeat
// themselves, so most cells need not be looked at twice.
type memo struct {
	slots []slot // a power of two, at least half of them free
	shift int    // 64 less that power
	texts []string
	over  bool // it has given up: the column does not repeat itself
}

// slot holds a text by its first eight bytes; index is its number and one, 0 is free.
type slot struct {
	word   uint64
	length int32
	index  int32
}

const maxTexts = 1 << 15 // a column with more hardly repeats itself

// find returns the number of a text, or −1. There must be padding behind the
// text: so much may be read.
func (m *memo) find(text []byte) int {
	if len(m.slots) == 0 {
		return -1
	}
	word := wordOf(text)
	for at := hash(word, text) >> m.shift; ; at = (at + 1) & uint64(len(m.slots)-1) {
		s := &m.slots[at]
		if s.index == 0 {
			return -1
		}
		if s.word == word && int(s.length) == len(text) && (len(text) <= 8 || m.texts[s.index-1] == string(text)) {
			return int(s.index - 1)
		}
	}
}

// add gives a text that is not there the next number, or −1: with one too many
// the memo gives up, and forgets all.
func (m *memo) add(text []byte) int {
	if len(m.texts) == maxTexts {
		m.giveUp()
	}
	if m.over {
		return -1
	}
	m.texts = append(m.texts, string(text))
	if 2*len(m.texts) > len(m.slots) {
		m.grow()
	} else {
		m.place(len(m.texts)-1, text)
	}
	return len(m.texts) - 1
}

func (m *memo) giveUp() { *m = memo{over: true} }

func (m *memo) grow() {
	size := max(64, 2*len(m.slots))
	m.slots, m.shift = make([]slot, size), 64-bits.Len(uint(size-1))
	for i, text := range m.texts {
		m.place(i, append(make([]byte, 0, len(text)+padding), text...))
	}
}

func (m *memo) place(i int, text []byte) {
	word := wordOf(text)
	at := hash(word, text) >> m.shift
	for m.slots[at].index != 0 {
		at = (at + 1) & uint64(len(m.slots)-1)
	}
	m.slots[at] = slot{word, int32(len(text)), int32(i + 1)}
}

// wordOf returns the first eight bytes of a text, with zeros behind its end.
func wordOf(text []byte) uint64 {
	word := binary.LittleEndian.Uint64(text[:8])
	if len(text) < 8 {
		word &= 1<<(8*uint(len(text))) - 1
	}
	return word
}

// hash spreads texts over 64 bits, the highest best (Fibonacci hashing).
func hash(word uint64, text []byte) uint64 {
	const golden = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio
	h := word ^ uint64(len(text))<<56
	if len(text) > 8 {
		for at := 8; at+8 < len(text); at += 8 {
			h = bits.RotateLeft64(h*golden, 29) ^ binary.LittleEndian.Uint64(text[at:])
		}
		h = bits.RotateLeft64(h*golden, 29) ^ binary.LittleEndian.Uint64(text[len(text)-8:])
	}
	return h * golden
}
