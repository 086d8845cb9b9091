package csvdata

import (
	"encoding/binary"
	"math/bits"

	"churn/internal/dataset"
)

// A dictionary numbers texts in the order in which they were added. Columns repeat
// their cells, so most of them are cleaned only once.
type dictionary struct {
	slots    []slot // a power of two, at least half of them free
	shift    int    // 64 less the exponent of that power
	texts    []string
	disabled bool // the column does not repeat its cells
}

// slot holds a text by its first eight bytes; index is its number plus one, 0 is free.
type slot struct {
	word   uint64
	length int32
	index  int32
}

const (
	maxTexts = 1 << 15 // a column with more hardly repeats its cells
	tryRows  = 500     // after so many it is known whether nearly all differ
)

// varied reports whether nearly all of the first cells differ, as they do where a table has no codes for them.
func varied(texts, cells int) bool {
	const repeated = 0.02 // tryRows of MaxCodedValues texts, each as frequent, are expected to have 0.015
	return float64(texts) >= (1-repeated)*float64(cells)
}

// find returns the number of a text, or −1. It may read the padding behind the text.
func (d *dictionary) find(text []byte) int {
	if len(d.slots) == 0 {
		return -1
	}
	word := wordOf(text)
	for at := hash(word, text) >> d.shift; ; at = (at + 1) & uint64(len(d.slots)-1) {
		s := &d.slots[at]
		if s.index == 0 {
			return -1
		}
		if s.word == word && int(s.length) == len(text) && (len(text) <= 8 || d.texts[s.index-1] == string(text)) {
			return int(s.index - 1)
		}
	}
}

// add gives a new text the next number. It returns −1 if the dictionary is disabled,
// as it is with one text too many.
func (d *dictionary) add(text []byte) int {
	if len(d.texts) == maxTexts {
		d.disable()
	}
	if d.disabled {
		return -1
	}
	d.texts = append(d.texts, string(text))
	if 2*len(d.texts) > len(d.slots) {
		d.grow()
	} else {
		d.place(len(d.texts)-1, text)
	}
	return len(d.texts) - 1
}

func (d *dictionary) disable() { *d = dictionary{disabled: true} }

func (d *dictionary) grow() {
	size := max(16, 2*len(d.slots))
	d.slots, d.shift = make([]slot, size), 64-bits.Len(uint(size-1))
	for i, text := range d.texts {
		d.place(i, append(make([]byte, 0, len(text)+padding), text...))
	}
}

func (d *dictionary) place(i int, text []byte) {
	word := wordOf(text)
	at := hash(word, text) >> d.shift
	for d.slots[at].index != 0 {
		at = (at + 1) & uint64(len(d.slots)-1)
	}
	d.slots[at] = slot{word, int32(len(text)), int32(i + 1)}
}

// wordOf returns the first eight bytes of a text, with zeros behind its end.
func wordOf(text []byte) uint64 {
	word := binary.LittleEndian.Uint64(text[:8])
	if len(text) < 8 {
		word &= 1<<(8*uint(len(text))) - 1
	}
	return word
}

// hash distributes texts over 64 bits, best over the highest (Fibonacci hashing).
func hash(word uint64, text []byte) uint64 {
	h := word ^ uint64(len(text))<<56
	if len(text) > 8 {
		for at := 8; at+8 < len(text); at += 8 {
			h = bits.RotateLeft64(h*dataset.Golden, 29) ^ binary.LittleEndian.Uint64(text[at:])
		}
		h = bits.RotateLeft64(h*dataset.Golden, 29) ^ binary.LittleEndian.Uint64(text[len(text)-8:])
	}
	return h * dataset.Golden
}
